import type { TruthBox } from '../clip-motion.ts';
import type { ReadyClip } from '../clips.ts';
import { readLuma } from '../luma-reader.ts';

/** The middle of a face's box, in parts of it. */
const MIDDLE = { from: 0.2, to: 0.8 };
/**
 * A face whose middle differs from what was sent by less than this part of its own contrast is seen. What is shown
 * differs by two codings, 0.05 to 0.2; what is covered by 0.5 and more.
 */
const MAX_DIFFERENCE = 0.35;
/** A face whose middle is flat tells nothing. */
const MIN_CONTRAST = 4;

/** One face of one frame. */
export interface FaceFrame {
  readonly frame: number;
  /** Of the truth. */
  readonly face: number;
  readonly sizePx: number;
  /** It lies wholly in the picture. */
  readonly isWhole: boolean;
  readonly isSeen: boolean;
}

/**
 * Which faces of a clip can be seen in what left.
 * @param sent a file of the frames that went in
 * @param left a file of those that came out
 * @param frames by picture of `left` which frame it is
 */
export async function shownFaces(
  clip: ReadyClip,
  sent: string,
  left: string,
  frames: readonly number[],
): Promise<FaceFrame[]> {
  const { width, height } = clip.truth;
  const found: FaceFrame[] = [];
  const originals = readLuma(sent, width, height);
  let at = -1;
  let original: Uint8Array | undefined;
  let picture = 0;
  for await (const shown of readLuma(left, width, height)) {
    const frame = frames[picture++]!;
    while (at < frame) {
      original = (await originals.next()).value ?? undefined;
      at++;
    }
    for (const [face, x, y, w, h] of clip.truth.frames[frame] ?? []) {
      found.push({
        frame,
        face,
        sizePx: Math.sqrt(w * h),
        isWhole: x >= 0 && y >= 0 && x + w <= width && y + h <= height,
        isSeen: original !== undefined && isSeen(original, shown, [face, x, y, w, h], width, height),
      });
    }
  }
  await originals.return();
  return found;
}

function isSeen(
  original: Uint8Array,
  shown: Uint8Array,
  [, x, y, w, h]: TruthBox,
  width: number,
  height: number,
): boolean {
  const [x1, x2] = [Math.max(0, Math.round(x + w * MIDDLE.from)), Math.min(width, Math.round(x + w * MIDDLE.to))];
  const [y1, y2] = [Math.max(0, Math.round(y + h * MIDDLE.from)), Math.min(height, Math.round(y + h * MIDDLE.to))];
  let [sum, squares, difference, count] = [0, 0, 0, 0];
  for (let row = y1; row < y2; row++) {
    for (let at = row * width + x1; at < row * width + x2; at++) {
      const value = original[at]!;
      sum += value;
      squares += value * value;
      difference += Math.abs(value - shown[at]!);
      count++;
    }
  }
  const contrast = Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
  return contrast > MIN_CONTRAST && difference / count < MAX_DIFFERENCE * contrast;
}
