import type { Box } from '../track/box.ts';
import type { SimilarityTransform } from './similarity-transform.ts';

/**
 * The square about a box's middle, `around` times as wide as the box's longer side, as a chip of `side` pixels.
 * @returns from pixels of the chip to pixels of the picture
 */
export function cropSquare({ x, y, w, h }: Box, around: number, side: number): SimilarityTransform {
  const length = Math.max(w, h) * around;
  const scale = length / side;
  // A pixel's middle lies half a pixel inside it, in the chip as in the picture.
  const inset = (scale - 1) / 2;
  return { a: scale, b: 0, tx: x + (w - length) / 2 + inset, ty: y + (h - length) / 2 + inset };
}
