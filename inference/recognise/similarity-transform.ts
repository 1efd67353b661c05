import type { Point } from '../track/box.ts';

/** Turns, scales and moves the plane, without shearing or mirroring: (x, y) → (a·x − b·y + tx, b·x + a·y + ty). */
export interface SimilarityTransform {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

/** Points that spread less than this about their middle, root of the mean square in their own pixels, are one point. */
const MIN_SPREAD = 1e-3;

/**
 * The transform that brings `from` closest to `to`, by the sum of the squared distances.
 * @returns null where the points of `from` coincide, or any is no number
 * @see Umeyama 1991, of two dimensions and without mirroring
 */
export function fitSimilarity(from: readonly Point[], to: readonly Point[]): SimilarityTransform | null {
  const count = Math.min(from.length, to.length);
  const [fromX, fromY] = middle(from, count);
  const [toX, toY] = middle(to, count);
  let [spread, along, across] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const [px, py] = [from[i]![0] - fromX, from[i]![1] - fromY];
    const [qx, qy] = [to[i]![0] - toX, to[i]![1] - toY];
    spread += px * px + py * py;
    along += px * qx + py * qy;
    across += px * qy - py * qx;
  }
  const [a, b] = [along / spread, across / spread];
  // Written so that NaN is refused.
  if (!(spread > count * MIN_SPREAD ** 2) || !Number.isFinite(a + b) || (a === 0 && b === 0)) return null;
  return { a, b, tx: toX - a * fromX + b * fromY, ty: toY - b * fromX - a * fromY };
}

/** The transform back. */
export function inverse({ a, b, tx, ty }: SimilarityTransform): SimilarityTransform {
  const squared = a * a + b * b;
  const [ia, ib] = [a / squared, -b / squared];
  return { a: ia, b: ib, tx: -ia * tx + ib * ty, ty: -ib * tx - ia * ty };
}

/** How many times longer it makes a line. */
export function scaleOf({ a, b }: SimilarityTransform): number {
  return Math.hypot(a, b);
}

export function apply({ a, b, tx, ty }: SimilarityTransform, [x, y]: Point): Point {
  return [a * x - b * y + tx, b * x + a * y + ty];
}

function middle(points: readonly Point[], count: number): Point {
  let [x, y] = [0, 0];
  for (let i = 0; i < count; i++) {
    x += points[i]![0] / count;
    y += points[i]![1] / count;
  }
  return [x, y];
}
