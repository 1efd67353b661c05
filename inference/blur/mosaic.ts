import { cellEdges, cellMeans, flatten } from './cells.ts';
import type { RowAt } from './mask.ts';
import type { PixelBox, Plane } from './plane.ts';
import type { Region } from './region.ts';

/** A cell's luma is rounded to multiples of this, which takes what averaging over time could win back. */
const LUMA_QUANTUM = 16;
/** Chroma tells little of who it is, and coarser steps turn skin green. */
const CHROMA_QUANTUM = 8;

/**
 * The rows of a mosaic of what lies under a mask. The cells hang on the region's centre, so that a face that moves shows
 * the same cells in every frame; those at the edge reach on into the rim.
 * @param mask the pixels that are averaged
 * @param rim the pixels that rows are for
 */
export function mosaicRows(
  plane: Plane,
  region: Region,
  look: { readonly cellPx: number; readonly contrast: number },
  scale: number,
  mask: PixelBox,
  rim: PixelBox,
): RowAt {
  const cell = Math.max(2, look.cellPx * scale);
  const xs = cellEdges(region.centreX * scale, cell, mask.left, mask.right);
  const ys = cellEdges(region.centreY * scale, cell, mask.top, mask.bottom);
  const columns = xs.length - 1;
  const means = cellMeans(plane, xs, ys, cell);
  flatten(means, scale === 1 ? look.contrast : 1, scale === 1 ? LUMA_QUANTUM : CHROMA_QUANTUM);
  const values = new Uint8Array(rim.right - rim.left);
  const lastRow = ys.length - 2;
  let drawn = -1;
  let cellRow = 0;
  return (y) => {
    while (cellRow < lastRow && y >= ys[cellRow + 1]!) cellRow++;
    if (cellRow === drawn) return values;
    drawn = cellRow;
    for (let column = 0; column < columns; column++) {
      const from = column === 0 ? rim.left : xs[column]!;
      const to = column === columns - 1 ? rim.right : xs[column + 1]!;
      values.fill(means[cellRow * columns + column]!, from - rim.left, to - rim.left);
    }
    return values;
  };
}
