import type { Box } from '../../../inference/track/box.ts';
import type { DecodedClip } from './decoded-clip.ts';

/** A mask reaches past its box by the policy's margin (0.3 of it), and codecs blur by some pixels more. */
const BOX_GROWTH = 0.5;

export interface RgbDifference {
  readonly psnrDb: number;
  /** Of output less source, a channel each, 0..255. */
  readonly meanShift: readonly [number, number, number];
  /** The part of all pixels that was compared, 0..1. */
  readonly compared: number;
}

/** Compares what a player shows of two clips, away from what was covered. */
export function rgbDifference(
  source: DecodedClip,
  output: DecodedClip,
  coveredIn: (frame: number) => readonly Box[],
): RgbDifference {
  const [width, height] = [Math.min(source.width, output.width), Math.min(source.height, output.height)];
  const frames = Math.min(source.pictures.length, output.pictures.length);
  const shifts: [number, number, number] = [0, 0, 0];
  let squares = 0;
  let pixels = 0;
  for (let n = 0; n < frames; n++) {
    const covered = coveredMap(width, height, coveredIn(n));
    const [a, b] = [source.pictures[n]!, output.pictures[n]!];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (covered[y * width + x]) continue;
        pixels++;
        const [i, j] = [3 * (y * source.width + x), 3 * (y * output.width + x)];
        for (let c = 0; c < 3; c++) {
          const d = b[j + c]! - a[i + c]!;
          squares += d * d;
          shifts[c]! += d;
        }
      }
    }
  }
  const meanShift = shifts.map((sum) => sum / pixels) as [number, number, number];
  return {
    psnrDb: 10 * Math.log10((255 * 255 * 3 * pixels) / squares),
    meanShift,
    compared: pixels / (frames * width * height),
  };
}

function coveredMap(width: number, height: number, boxes: readonly Box[]): Uint8Array {
  const covered = new Uint8Array(width * height);
  for (const { x, y, w, h } of boxes) {
    const left = Math.max(0, Math.floor(x - w * BOX_GROWTH));
    const right = Math.max(left, Math.min(width, Math.ceil(x + w * (1 + BOX_GROWTH))));
    const bottom = Math.min(height, Math.ceil(y + h * (1 + BOX_GROWTH)));
    for (let row = Math.max(0, Math.floor(y - h * BOX_GROWTH)); row < bottom; row++) {
      covered.fill(1, row * width + left, row * width + right);
    }
  }
  return covered;
}
