import type { Box } from '../track/box.ts';

/** Cells across a face at strength 0. At 16 a face reads again, and at 8 what is blurred in the source may. */
const MAX_CELLS = 6;
/** Cells across a face at strength 1. */
const MIN_CELLS = 3;
/** No cell is smaller than this, so that small faces get fewer cells. Pixels. */
const MIN_CELL_PX = 6;
/** A cell's luma is rounded to multiples of this, which takes what averaging over time could win back. */
const LUMA_QUANTUM = 16;
/** Chroma tells little of who it is, and coarser steps turn skin green. */
const CHROMA_QUANTUM = 8;
/** In cells of this side on, every second row is enough for the mean. */
const SPARSE_CELL_PX = 12;

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
  if (right <= left || bottom <= top) return;
  const { starts, ends } = maskRows(region, scale, top, bottom);
  const step = cell >= SPARSE_CELL_PX ? 2 : 1;
  const quantum = scale === 1 ? LUMA_QUANTUM : CHROMA_QUANTUM;
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
      for (let y = y0; y < y1; y += step) {
        for (let i = y * stride + x0, end = y * stride + x1; i < end; i++) sum += data[i]!;
      }
      const mean = sum / (Math.ceil((y1 - y0) / step) * (x1 - x0));
      const value = Math.min(255, Math.round(mean / quantum) * quantum);
      for (let y = y0; y < y1; y++) {
        const row = y * stride;
        const to = Math.min(x1, ends[y - top]!);
        // A plain loop: the runs are too short for the call of fill() to pay.
        for (let i = row + Math.max(x0, starts[y - top]!), end = row + to; i < end; i++) data[i] = value;
      }
    }
  }
}

/** The mask's first pixel and the one after its last, for each row of the region. */
function maskRows(region: Region, scale: number, top: number, bottom: number): { starts: Int32Array; ends: Int32Array } {
  const starts = new Int32Array(bottom - top);
  const ends = new Int32Array(bottom - top);
  const centreX = region.centreX * scale;
  const radiusX = region.radiusX * scale;
  for (let y = top; y < bottom; y++) {
    const dy = (y + 0.5 - region.centreY * scale) / (region.radiusY * scale);
    const inside = region.shape === 'rectangle' ? 1 : 1 - dy * dy;
    const half = inside > 0 ? radiusX * Math.sqrt(inside) : 0;
    starts[y - top] = half > 0 ? Math.floor(centreX - half) : 0;
    ends[y - top] = half > 0 ? Math.ceil(centreX + half) : 0;
  }
  return { starts, ends };
}
