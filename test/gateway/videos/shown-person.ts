import type { Truth } from '../../../bench/clip-motion.ts';
import { iou } from '../../../inference/track/box.ts';

interface Report {
  readonly tracks: readonly {
    readonly visible: boolean;
    readonly boxes: readonly (readonly [number, number, number, number, number, number | null])[];
  }[];
}

/** The truth leaves out faces that are half out of the picture: they lie on nobody's box. */
const MIN_OVERLAP = 0.3;

/**
 * Who of the truth a report says is shown.
 * @throws Error where it is nobody, or not one and the same person
 */
export function shownPerson({ tracks }: Report, truth: Truth): number {
  const people = new Set<number>();
  for (const { visible, boxes } of tracks) {
    if (!visible) continue;
    for (const [frame, x, y, w, h] of boxes) {
      const faces = truth.frames[frame]!.map(([id, ...box]) => {
        const [left, top, width, height] = box;
        return { id, overlap: iou({ x, y, w, h }, { x: left, y: top, w: width, h: height }) };
      });
      const best = faces.reduce((a, b) => (b.overlap > a.overlap ? b : a));
      if (best.overlap >= MIN_OVERLAP) people.add(best.id);
    }
  }
  if (people.size !== 1) throw new Error(`${people.size} people are shown and not one`);
  return [...people][0]!;
}
