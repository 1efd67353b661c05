import { expect, test } from 'vitest';
import { EmbeddingIndex } from '../../../inference/recognise/embedding-index.ts';
import { makeUnit, similarity } from '../../../inference/recognise/similarity.ts';

/** The same products in another order, of float32. */
const ROUNDING = 1e-6;

/** Numbers that look random and are the same each time. */
function unitVectors(count: number, dimension: number): Float32Array[] {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Array.from({ length: count }, () => {
    const vector = Float32Array.from({ length: dimension }, next);
    makeUnit(vector);
    return vector;
  });
}

test.each([
  [128, 1],
  [128, 3],
  [128, 1000],
  [512, 65],
  [130, 66],
])('of %d numbers and %d rows, the best is the one that comparing each would find', (dimension, count) => {
  const index = new EmbeddingIndex(dimension);
  const rows = unitVectors(count, dimension);
  for (const [i, row] of rows.entries()) expect(index.add(row)).toBe(i);
  for (const wanted of unitVectors(40, dimension).slice(20)) {
    const each = rows.map((row) => similarity(wanted, row));
    const best = index.best(wanted)!;
    expect(Math.abs(best.similarity - Math.max(...each))).toBeLessThan(ROUNDING);
    expect(Math.abs(index.similarityTo(wanted, best.row) - best.similarity)).toBeLessThan(ROUNDING);
  }
  for (const [i, row] of rows.entries()) expect(index.best(row)?.row).toBe(i);
});

test('what is all unlike still has a best row, of similarity 0, and never one past the end', () => {
  const index = new EmbeddingIndex(16);
  const ahead = Float32Array.from({ length: 16 }, (_, i) => (i === 0 ? 1 : 0));
  index.add(ahead.map((value) => -value));
  expect(index.best(ahead)).toEqual({ row: 0, similarity: 0 });
});

test('a removed row is erased, and the last takes its place', () => {
  const index = new EmbeddingIndex(128);
  const [first, second, third] = unitVectors(3, 128) as [Float32Array, Float32Array, Float32Array];
  for (const row of [first, second, third]) index.add(row);
  index.remove(0);
  expect(index.size).toBe(2);
  expect(index.best(third)?.row).toBe(0);
  expect(index.best(second)?.row).toBe(1);
  expect(index.best(first)?.similarity).toBeLessThan(0.9);
  index.remove(1);
  index.remove(0);
  expect(index.best(first)).toBeNull();
  expect(() => index.remove(0)).toThrow(RangeError);
  index.add(first);
  index.clear();
  expect(index.best(first)).toBeNull();
});

test('another model’s embedding, one of no numbers, and too many are refused', () => {
  const index = new EmbeddingIndex(128);
  const [row] = unitVectors(1, 128) as [Float32Array];
  index.add(row);
  const another = { code: 'run-failed', message: expect.stringContaining('512 numbers, need 128') };
  expect(() => index.best(new Float32Array(512))).toThrow(expect.objectContaining(another));
  expect(() => index.add(new Float32Array(512))).toThrow(expect.objectContaining(another));
  const rubbish = row.map((value, i) => (i === 7 ? Number.NaN : value));
  expect(() => index.add(rubbish)).toThrow(expect.objectContaining({ code: 'run-failed' }));
  expect(index.best(rubbish)).toBeNull();
  expect(index.size).toBe(1);
  expect(() => new EmbeddingIndex(127)).toThrow(RangeError);
});

test('similarity is the cosine, and 0 beyond a right angle; NaN passes no threshold', () => {
  const at = (degrees: number) => {
    const radians = (degrees * Math.PI) / 180;
    return Float32Array.from([Math.cos(radians), Math.sin(radians)]);
  };
  expect(similarity(at(10), at(10))).toBeCloseTo(1, 6);
  expect(similarity(at(0), at(60))).toBeCloseTo(0.5, 6);
  expect(similarity(at(0), at(90))).toBeCloseTo(0, 6);
  expect(similarity(at(0), at(180))).toBe(0);
  expect(similarity(at(0), at(Number.NaN)) >= 0).toBe(false);
});

test('a vector without a direction is left as it is', () => {
  for (const values of [
    [0, 0],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
  ]) {
    const vector = Float32Array.from(values);
    expect(makeUnit(vector)).toBe(false);
    expect([...vector]).toEqual(values);
  }
});
