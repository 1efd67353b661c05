import type { Box } from '../track/box.ts';

/** At most this many cells across a face at strength 0: from 16 on, a face can be recognised again. */
const MAX_CELLS = 8;
/** Cells across a face at strength 1. */
const MIN_CELLS = 3;
/** No cell is smaller than this, so that small faces get fewer cells. Pixels. */
const MIN_CELL_PX = 4;
/** Luma and chroma of a cell are rounded to multiples of this, which takes what averaging over time could win back. */
const QUANTUM = 16;

/** One plane of an I420 picture. */
export interface Plane {
  readonly data: Uint8Array;
  readonly stride: number;
  readonly width: number;
  readonly height: number;
}

/** A place to cover: the mask is the ellipse of these half axes, or the whole rectangle. Pixels of the luma plane. */
export interface Region {
  readonly centreX: number;
  readonly centreY: number;
  readonly radiusX: number;
  readonly radiusY: number;
  readonly shape: 'ellipse' | 'rectangle';
  /** The side of one mosaic cell. */
  readonly cellPx: number;
}

/** The mask of a face: an ellipse that reaches `margin` of the box past it, in cells that hide who it is. */
export function faceRegion(face: Box, strength: number, margin: number): Region {
  const cells = MAX_CELLS - (MAX_CELLS - MIN_CELLS) * strength;
  return {
    centreX: face.x + face.w / 2,
    centreY: face.y + face.h / 2,
    radiusX: (face.w / 2) * (1 + margin),
    radiusY: (face.h / 2) * (1 + margin),
    shape: 'ellipse',
    cellPx: Math.max(MIN_CELL_PX, Math.max(face.w, face.h) / cells),
  };
}

/** The region that covers everything, for when nothing is known about the picture. */
export function wholeRegion(width: number, height: number): Region {
  return {
    centreX: width / 2,
    centreY: height / 2,
    radiusX: width,
    radiusY: height,
    shape: 'rectangle',
    cellPx: Math.max(width, height) / MIN_CELLS,
  };
}

/**
 * Replaces what lies under the mask by averaged, rounded cells, in place. The cells hang on the region's centre, so
 * that a face that moves shows the same cells in every frame.
 * @param scale size of this plane against the luma plane: 1 or 0.5
 */
export function mosaicPlane(plane: Plane, region: Region, scale: number): void {
  const { data, stride, width, height } = plane;
  const centreX = region.centreX * scale;
  const centreY = region.centreY * scale;
  const radiusX = region.radiusX * scale;
  const radiusY = region.radiusY * scale;
  const cell = Math.max(2, region.cellPx * scale);
  const left = Math.max(0, Math.floor(centreX - radiusX));
  const right = Math.min(width, Math.ceil(centreX + radiusX));
  const top = Math.max(0, Math.floor(centreY - radiusY));
  const bottom = Math.min(height, Math.ceil(centreY + radiusY));
  const ellipse = region.shape === 'ellipse';
  // A centre cell straddles the centre, so that the pattern is symmetric.
  const originX = centreX - cell / 2 - Math.ceil((centreX - left) / cell) * cell;
  const originY = centreY - cell / 2 - Math.ceil((centreY - top) / cell) * cell;
  for (let cellTop = originY; cellTop < bottom; cellTop += cell) {
    const y0 = Math.max(top, Math.round(cellTop));
    const y1 = Math.min(bottom, Math.round(cellTop + cell));
    if (y1 <= y0) continue;
    for (let cellLeft = originX; cellLeft < right; cellLeft += cell) {
      const x0 = Math.max(left, Math.round(cellLeft));
      const x1 = Math.min(right, Math.round(cellLeft + cell));
      if (x1 <= x0) continue;
      let sum = 0;
      for (let y = y0; y < y1; y++) {
        const row = y * stride;
        for (let i = row + x0; i < row + x1; i++) sum += data[i]!;
      }
      const mean = sum / ((y1 - y0) * (x1 - x0));
      const value = Math.min(255, Math.round(mean / QUANTUM) * QUANTUM);
      for (let y = y0; y < y1; y++) {
        const row = y * stride;
        if (!ellipse) {
          data.fill(value, row + x0, row + x1);
          continue;
        }
        const dy = (y + 0.5 - centreY) / radiusY;
        if (dy * dy >= 1) continue;
        const half = radiusX * Math.sqrt(1 - dy * dy);
        const from = Math.max(x0, Math.floor(centreX - half));
        const to = Math.min(x1, Math.ceil(centreX + half));
        if (to > from) data.fill(value, row + from, row + to);
      }
    }
  }
}
