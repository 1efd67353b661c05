import type { Box } from '../../../inference/track/box.ts';
import type { DecodedClip } from './decoded-clip.ts';

/** A mask reaches past its box by the policy's margin (0.3 of it), and codecs blur by some pixels more. */
const BOX_GROWTH = 0.5;
/** So much of a box is left off on each side for its middle, which any mask covers. */
const CORE_MARGIN = 0.2;

/** Of a wider picture every so many-th pixel of every so many-th row is compared. */
const DENSE_WIDTH = 720;

export interface RgbDifference {
  /** Away from what was covered. */
  readonly psnrDb: number;
  /** In the middle of what was covered. */
  readonly coveredPsnrDb: number;
  /** Of output less source, a channel each, 0..255. */
  readonly meanShift: readonly [number, number, number];
  /** The part of all pixels that was compared, 0..1. */
  readonly compared: number;
}

/** Compares what a player shows of two clips. */
export function rgbDifference(
  source: DecodedClip,
  output: DecodedClip,
  coveredIn: (frame: number) => readonly Box[],
): RgbDifference {
  const [width, height] = [Math.min(source.width, output.width), Math.min(source.height, output.height)];
  const frames = Math.min(source.pictures.length, output.pictures.length);
  const shifts: [number, number, number] = [0, 0, 0];
  const step = Math.ceil(width / DENSE_WIDTH);
  let squares = 0;
  let pixels = 0;
  let coveredSquares = 0;
  let coveredPixels = 0;
  for (let n = 0; n < frames; n++) {
    const boxes = coveredIn(n);
    const near = boxMap(width, height, boxes, BOX_GROWTH);
    const core = boxMap(width, height, boxes, -CORE_MARGIN);
    const [a, b] = [source.pictures[n]!, output.pictures[n]!];
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        const isCore = core[y * width + x] === 1;
        if (near[y * width + x] && !isCore) continue;
        if (isCore) coveredPixels++;
        else pixels++;
        const [i, j] = [3 * (y * source.width + x), 3 * (y * output.width + x)];
        for (let c = 0; c < 3; c++) {
          const d = b[j + c]! - a[i + c]!;
          if (isCore) coveredSquares += d * d;
          else {
            squares += d * d;
            shifts[c]! += d;
          }
        }
      }
    }
  }
  const meanShift = shifts.map((sum) => sum / pixels) as [number, number, number];
  return {
    psnrDb: psnr(squares, pixels),
    coveredPsnrDb: psnr(coveredSquares, coveredPixels),
    meanShift,
    compared: (pixels * step * step) / (frames * width * height),
  };
}

function psnr(squares: number, pixels: number): number {
  return 10 * Math.log10((255 * 255 * 3 * pixels) / squares);
}

/** @param growth how far past each box it reaches, as a part of the box; less than 0 for within it */
function boxMap(width: number, height: number, boxes: readonly Box[], growth: number): Uint8Array {
  const map = new Uint8Array(width * height);
  for (const { x, y, w, h } of boxes) {
    const left = Math.max(0, Math.floor(x - w * growth));
    const right = Math.max(left, Math.min(width, Math.ceil(x + w * (1 + growth))));
    const bottom = Math.min(height, Math.ceil(y + h * (1 + growth)));
    for (let row = Math.max(0, Math.floor(y - h * growth)); row < bottom; row++) {
      map.fill(1, row * width + left, row * width + right);
    }
  }
  return map;
}
