import type { Box } from '../track/box.ts';

/** Cells across a face at strength 0. At 16 a face reads again, and at 8 what is blurred in the source may. */
const MAX_CELLS = 6;
/** Cells across a face at strength 1. */
const MIN_CELLS = 3;
/** What is left of the cells' differences at strength 0 and 1: a hard shadow or a brim would still be read in them. */
const MAX_CONTRAST = 0.6;
const MIN_CONTRAST = 0.3;
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
  /** 0..1, how much of the cells' differences in luma is left. */
  readonly contrast: number;
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
    contrast: MAX_CONTRAST - (MAX_CONTRAST - MIN_CONTRAST) * strength,
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
    contrast: MIN_CONTRAST,
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
  const left = Math.max(0, Math.floor(centreX - region.radiusX * scale));
  const right = Math.min(width, Math.ceil(centreX + region.radiusX * scale));
  const top = Math.max(0, Math.floor(centreY - region.radiusY * scale));
  const bottom = Math.min(height, Math.ceil(centreY + region.radiusY * scale));
  if (right <= left || bottom <= top) return;
  const cell = Math.max(2, region.cellPx * scale);
  const xs = cellEdges(centreX, cell, left, right);
  const ys = cellEdges(centreY, cell, top, bottom);
  const columns = xs.length - 1;
  const means = cellMeans(plane, xs, ys, cell >= SPARSE_CELL_PX ? 2 : 1);
  let level = 0;
  for (const mean of means) level += mean / means.length;
  const quantum = scale === 1 ? LUMA_QUANTUM : CHROMA_QUANTUM;
  const contrast = scale === 1 ? region.contrast : 1;
  for (let i = 0; i < means.length; i++) {
    means[i] = Math.min(255, Math.round((level + contrast * (means[i]! - level)) / quantum) * quantum);
  }
  const { starts, ends } = maskRows(region, scale, top, bottom);
  for (let row = 0; row + 1 < ys.length; row++) {
    for (let column = 0; column < columns; column++) {
      const value = means[row * columns + column]!;
      for (let y = ys[row]!; y < ys[row + 1]!; y++) {
        const from = Math.max(xs[column]!, starts[y - top]!);
        const to = Math.min(xs[column + 1]!, ends[y - top]!);
        // A plain loop: the runs are too short for the call of fill() to pay.
        for (let i = y * stride + from, end = y * stride + to; i < end; i++) data[i] = value;
      }
    }
  }
}

/** Where cells begin, and where the last one ends. One cell straddles the centre, so that the pattern is symmetric. */
function cellEdges(centre: number, cell: number, from: number, to: number): number[] {
  const edges = [from];
  const first = Math.floor((from - centre) / cell + 0.5) + 0.5;
  for (let edge = centre + first * cell; edge < to; edge += cell) {
    const rounded = Math.round(edge);
    if (rounded > edges.at(-1)! && rounded < to) edges.push(rounded);
  }
  edges.push(to);
  return edges;
}

/** @param step every so many-th row is read */
function cellMeans({ data, stride }: Plane, xs: readonly number[], ys: readonly number[], step: number): Float64Array {
  const columns = xs.length - 1;
  const means = new Float64Array(columns * (ys.length - 1));
  for (let row = 0; row + 1 < ys.length; row++) {
    const y0 = ys[row]!;
    const y1 = ys[row + 1]!;
    for (let column = 0; column < columns; column++) {
      const x0 = xs[column]!;
      const x1 = xs[column + 1]!;
      let sum = 0;
      for (let y = y0; y < y1; y += step) {
        for (let i = y * stride + x0, end = y * stride + x1; i < end; i++) sum += data[i]!;
      }
      means[row * columns + column] = sum / (Math.ceil((y1 - y0) / step) * (x1 - x0));
    }
  }
  return means;
}

/** The mask's first pixel and the one after its last, for each row of the region. */
function maskRows(
  region: Region,
  scale: number,
  top: number,
  bottom: number,
): { starts: Int32Array; ends: Int32Array } {
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
