import type { Box } from '../track/box.ts';

/** Neighbours overlap by at least this part of a tile, so that a face cut by one is whole in the other. */
const MIN_OVERLAP = 0.2;
/** More tiles than this cost more than they find. */
const MAX_TILES = 4;
/** A picture that is nearly square is no larger in tiles. */
const MIN_ASPECT = 1.2;

/**
 * Squares as high as the picture is (or as wide, where it is upright), side by side: what a model with a square input
 * sees larger than the whole picture.
 */
export function squareTiles(width: number, height: number): Box[] {
  const [longer, side] = width > height ? [width, height] : [height, width];
  if (longer < MIN_ASPECT * side) return [];
  const count = Math.min(MAX_TILES, Math.ceil((longer - MIN_OVERLAP * side) / ((1 - MIN_OVERLAP) * side)));
  return Array.from({ length: count }, (_, i) => {
    const start = Math.round((i * (longer - side)) / (count - 1));
    return width > height ? { x: start, y: 0, w: side, h: side } : { x: 0, y: start, w: side, h: side };
  });
}
