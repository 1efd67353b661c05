import { cellEdges, cellMeans, flatten } from './cells.ts';
import type { RowAt } from './mask.ts';
import type { PixelBox, Plane } from './plane.ts';
import type { Region } from './region.ts';

/** The blur is computed on cells of this part of its standard deviation, which is as fine as it can tell. */
const CELL_SIGMAS = 0.7;
/** The kernel ends after so many standard deviations. */
const KERNEL_SIGMAS = 2.5;
/** Blurred cells are rounded to multiples of this. */
const LUMA_QUANTUM = 2;
const CHROMA_QUANTUM = 1;

/**
 * The rows of a Gaussian blur of what lies under a mask: blurred on a coarse grid that hangs on the region's centre, then
 * drawn smoothly. What lies outside the mask does not count; its edge is repeated.
 * @param mask the pixels that are blurred
 * @param rim the pixels that rows are for
 */
export function gaussianRows(
  plane: Plane,
  region: Region,
  look: { readonly sigmaPx: number; readonly contrast: number },
  scale: number,
  mask: PixelBox,
  rim: PixelBox,
): RowAt {
  const sigma = look.sigmaPx * scale;
  const cell = Math.max(1, sigma * CELL_SIGMAS);
  const xs = cellEdges(region.centreX * scale, cell, mask.left, mask.right);
  const ys = cellEdges(region.centreY * scale, cell, mask.top, mask.bottom);
  const [columns, rows] = [xs.length - 1, ys.length - 1];
  const kernel = gaussianKernel(sigma / cell);
  const across = convolved(cellMeans(plane, xs, ys, cell), kernel, {
    length: columns,
    step: 1,
    lines: rows,
    next: columns,
  });
  const cells = convolved(across, kernel, { length: rows, step: columns, lines: columns, next: 1 });
  flatten(cells, scale === 1 ? look.contrast : 1, scale === 1 ? LUMA_QUANTUM : CHROMA_QUANTUM);

  const width = rim.right - rim.left;
  const values = new Uint8Array(width);
  const acrossRim = places(xs, rim.left, rim.right);
  const downRim = places(ys, rim.top, rim.bottom);
  let [upper, lower] = [new Float32Array(width), new Float32Array(width)];
  let upperRow = -1;
  const stretch = (row: number, out: Float32Array) => {
    const start = row * columns;
    for (let x = 0; x < width; x++) {
      const at = start + acrossRim.cell[x]!;
      const value = cells[at]!;
      const weight = acrossRim.weight[x]!;
      out[x] = weight === 0 ? value : value + (cells[at + 1]! - value) * weight;
    }
  };
  return (y) => {
    const row = downRim.cell[y - rim.top]!;
    const weight = downRim.weight[y - rim.top]!;
    if (row !== upperRow) {
      if (row === upperRow + 1 && upperRow >= 0) [upper, lower] = [lower, upper];
      else stretch(row, upper);
      stretch(Math.min(rows - 1, row + 1), lower);
      upperRow = row;
    }
    for (let x = 0; x < width; x++) values[x] = upper[x]! + (lower[x]! - upper[x]!) * weight + 0.5;
    return values;
  };
}

/** One half of a kernel that sums up to 1, from its middle outwards. */
function gaussianKernel(sigma: number): Float64Array {
  const kernel = Float64Array.from({ length: Math.ceil(KERNEL_SIGMAS * sigma) + 1 }, (_, i) =>
    Math.exp(-(i * i) / (2 * sigma * sigma)),
  );
  const sum = kernel.reduce((all, value) => all + 2 * value, -kernel[0]!);
  return kernel.map((value) => value / sum);
}

/** Convolves the lines of a grid; their ends are repeated. */
function convolved(
  grid: Float64Array,
  kernel: Float64Array,
  { length, step, lines, next }: { length: number; step: number; lines: number; next: number },
): Float64Array<ArrayBuffer> {
  const result = new Float64Array(grid.length);
  for (let line = 0; line < lines; line++) {
    const start = line * next;
    const end = start + (length - 1) * step;
    for (let i = 0, at = start; i < length; i++, at += step) {
      let sum = kernel[0]! * grid[at]!;
      for (let k = 1; k < kernel.length; k++) {
        const before = i >= k ? at - k * step : start;
        const after = i + k < length ? at + k * step : end;
        sum += kernel[k]! * (grid[before]! + grid[after]!);
      }
      result[at] = sum;
    }
  }
  return result;
}

/** Between the middles of which two cells each pixel lies, and how near to the second; past the last, the last alone. */
function places(edges: readonly number[], from: number, to: number): { cell: Int32Array; weight: Float32Array } {
  const cell = new Int32Array(to - from);
  const weight = new Float32Array(to - from);
  const last = edges.length - 2;
  const middle = (index: number) => (edges[index]! + edges[index + 1]!) / 2;
  let at = 0;
  for (let pixel = from; pixel < to; pixel++) {
    while (at < last && pixel + 0.5 >= middle(at + 1)) at++;
    cell[pixel - from] = at;
    if (at < last) weight[pixel - from] = Math.max(0, (pixel + 0.5 - middle(at)) / (middle(at + 1) - middle(at)));
  }
  return { cell, weight };
}
