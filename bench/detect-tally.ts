import { type Box, type Detection, iou } from '../inference/track/box.ts';

/** Classes by the side of a face (the root of its area) in pixels of the photo. */
export const SIZE_CLASSES = [
  { name: '<16 px', from: 0 },
  { name: '16-32', from: 16 },
  { name: '32-64', from: 32 },
  { name: '64-128', from: 64 },
  { name: '≥128', from: 128 },
] as const;

export type SizeClass = (typeof SIZE_CLASSES)[number]['name'];

export interface TrueFace extends Box {
  /** Found or not, it counts for nothing. */
  readonly isIgnored: boolean;
}

export interface SizeFigures {
  readonly faces: number;
  /** 0..1; null where there is nothing to find, or nothing was found. */
  readonly recall: number | null;
  readonly precision: number | null;
}

/** A detection is of a face where they overlap by this much: it is covered by it, give or take a mask's margin. */
const MIN_IOU = 0.4;

interface Counts {
  faces: number;
  found: number;
  falsePositives: number;
}

/** Counts, over photos, which faces were found and what was found that is none. */
export class SizeTally {
  readonly #counts = new Map<SizeClass, Counts>(
    SIZE_CLASSES.map(({ name }) => [name, { faces: 0, found: 0, falsePositives: 0 }]),
  );

  /** The best detections choose first; each face is found once, and a second box on it is a false one. */
  add(found: readonly Detection[], faces: readonly TrueFace[]): void {
    const free = new Set(faces);
    for (const face of faces) if (!face.isIgnored) this.#countsOf(face).faces++;
    for (const detection of [...found].sort((a, b) => b.score - a.score)) {
      const match = best(detection, free);
      if (match) {
        free.delete(match);
        if (!match.isIgnored) this.#countsOf(match).found++;
      } else if (!faces.some((face) => face.isIgnored && iou(face, detection) > 0)) {
        this.#countsOf(detection).falsePositives++;
      }
    }
  }

  of(name: SizeClass | 'all'): SizeFigures {
    const counts = name === 'all' ? [...this.#counts.values()] : [this.#counts.get(name)!];
    const sum = (key: keyof Counts) => counts.reduce((all, each) => all + each[key], 0);
    const [faces, found, wrong] = [sum('faces'), sum('found'), sum('falsePositives')];
    return {
      faces,
      recall: faces === 0 ? null : found / faces,
      precision: found + wrong === 0 ? null : found / (found + wrong),
    };
  }

  #countsOf({ w, h }: Box): Counts {
    const side = Math.sqrt(w * h);
    return this.#counts.get(SIZE_CLASSES.findLast(({ from }) => side >= from)!.name)!;
  }
}

function best(detection: Detection, faces: Iterable<TrueFace>): TrueFace | null {
  let chosen: TrueFace | null = null;
  let most = MIN_IOU;
  for (const face of faces) {
    const overlap = iou(face, detection);
    if (overlap < most) continue;
    most = overlap;
    chosen = face;
  }
  return chosen;
}
