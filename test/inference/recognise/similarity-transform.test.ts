import { expect, test } from 'vitest';
import {
  apply,
  fitSimilarity,
  inverse,
  type SimilarityTransform,
  scaleOf,
} from '../../../inference/recognise/similarity-transform.ts';
import type { Point } from '../../../inference/track/box.ts';

const FACE: Point[] = [
  [38.3, 51.7],
  [73.5, 51.5],
  [56.0, 71.7],
  [41.5, 92.4],
  [70.7, 92.2],
];
/** Sums in double precision. */
const ROUNDING = 1e-9;

function expectNear(found: Point, expected: Point): void {
  expect(Math.hypot(found[0] - expected[0], found[1] - expected[1])).toBeLessThan(ROUNDING);
}

test.each([
  ['moved', { a: 1, b: 0, tx: 12, ty: -7 }],
  ['three times as large', { a: 3, b: 0, tx: 5, ty: 6 }],
  ['upside down', { a: -1, b: 0, tx: 0, ty: 0 }],
  ['turned by 30° and halved', { a: Math.cos(Math.PI / 6) / 2, b: Math.sin(Math.PI / 6) / 2, tx: 100, ty: 50 }],
] satisfies [string, SimilarityTransform][])('a face that was %s is brought back exactly', (_, transform) => {
  const seen = FACE.map((point) => apply(transform, point));
  const found = fitSimilarity(FACE, seen)!;
  for (const key of ['a', 'b', 'tx', 'ty'] as const)
    expect(Math.abs(found[key] - transform[key])).toBeLessThan(ROUNDING);
  expect(Math.abs(scaleOf(found) - Math.hypot(transform.a, transform.b))).toBeLessThan(ROUNDING);
  for (const [i, point] of seen.entries()) expectNear(apply(inverse(found), point), FACE[i]!);
});

test('of points that do not fit, no other transform comes closer', () => {
  const seen = FACE.map(([x, y], i): Point => [2 * x + (i % 2) * 6, 2 * y - i]);
  const best = fitSimilarity(FACE, seen)!;
  const misfit = (transform: SimilarityTransform) =>
    FACE.reduce((sum, point, i) => {
      const [x, y] = apply(transform, point);
      return sum + (x - seen[i]![0]) ** 2 + (y - seen[i]![1]) ** 2;
    }, 0);
  expect(misfit(best)).toBeGreaterThan(1);
  for (const key of ['a', 'b', 'tx', 'ty'] as const) {
    for (const step of [-0.01, 0.01])
      expect(misfit({ ...best, [key]: best[key] + step })).toBeGreaterThan(misfit(best));
  }
});

test('a mirrored face is not mirrored back: the best that turning can do is taken', () => {
  const mirrored = FACE.map(([x, y]): Point => [-x, y]);
  const { a, b } = fitSimilarity(mirrored, FACE)!;
  // Of a similarity without mirroring, whatever its numbers, the determinant is a² + b².
  expect(a * a + b * b).toBeGreaterThan(0);
  expect(scaleOf({ a, b, tx: 0, ty: 0 })).toBeLessThan(0.9);
});

test.each([
  ['one point five times', FACE.map((): Point => [5, 5])],
  ['NaN', FACE.map(([x], i): Point => [x, i === 2 ? Number.NaN : 1])],
  ['infinite', FACE.map(([x], i): Point => [x, i === 2 ? Number.POSITIVE_INFINITY : 1])],
  ['none', []],
])('landmarks that are %s fit nothing', (_, landmarks) => {
  expect(fitSimilarity(landmarks, FACE)).toBeNull();
});
