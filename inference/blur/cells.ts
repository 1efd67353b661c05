import type { Plane } from './plane.ts';

/** In cells of this side on, every second pixel of every second row is enough for the mean. */
const SPARSE_CELL_PX = 12;

/** Where cells begin, and where the last one ends. One cell straddles the centre, so that the pattern is symmetric. */
export function cellEdges(centre: number, cell: number, from: number, to: number): number[] {
  const edges = [from];
  const first = Math.floor((from - centre) / cell + 0.5) + 0.5;
  for (let edge = centre + first * cell; edge < to; edge += cell) {
    const rounded = Math.round(edge);
    if (rounded > edges.at(-1)! && rounded < to) edges.push(rounded);
  }
  edges.push(to);
  return edges;
}

/** The mean of each cell, row by row. */
export function cellMeans(
  { data, stride }: Plane,
  xs: readonly number[],
  ys: readonly number[],
  cell: number,
): Float64Array<ArrayBuffer> {
  const step = cell >= SPARSE_CELL_PX ? 2 : 1;
  const columns = xs.length - 1;
  const means = new Float64Array(columns * (ys.length - 1));
  for (let row = 0; row + 1 < ys.length; row++) {
    const y0 = ys[row]!;
    const y1 = ys[row + 1]!;
    for (let column = 0; column < columns; column++) {
      const x0 = xs[column]!;
      const x1 = xs[column + 1]!;
      let sum = 0;
      let count = 0;
      for (let y = y0; y < y1; y += step) {
        // Rows begin by turns with their first and their second pixel: else fine stripes would come out as one of two.
        const from = x0 + (step === 2 ? ((y - y0) >> 1) & 1 : 0);
        for (let i = y * stride + from, end = y * stride + x1; i < end; i += step) sum += data[i]!;
        count += Math.ceil((x1 - from) / step);
      }
      means[row * columns + column] = sum / count;
    }
  }
  return means;
}

/** Brings values nearer to their mean, in place: `contrast`, 0..1, of their differences is left; then rounds them. */
export function flatten(means: Float64Array, contrast: number, quantum: number): void {
  let level = 0;
  for (const mean of means) level += mean / means.length;
  for (let i = 0; i < means.length; i++) {
    means[i] = Math.min(255, Math.round((level + contrast * (means[i]! - level)) / quantum) * quantum);
  }
}
