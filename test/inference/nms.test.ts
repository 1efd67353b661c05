import { expect, test } from 'vitest';
import { suppress } from '../../inference/detect/nms.ts';
import { seen } from './synthetic-tracks.ts';

test('of boxes on one face the best stays, best first', () => {
  const kept = suppress([seen(2, 0, 40, 0.5), seen(200, 0, 40, 0.6), seen(0, 0, 40, 0.9), seen(0, 3, 40, 0.7)], 0.45);
  expect(kept.map(({ score }) => score)).toEqual([0.9, 0.6]);
});

test('two faces cheek to cheek both stay', () => {
  expect(suppress([seen(0, 0, 40, 0.9), seen(25, 0, 40, 0.8)], 0.45)).toHaveLength(2);
});

test('a box is only suppressed by one that is kept', () => {
  // The middle one goes for the left one; the right one overlaps only the middle one, and stays.
  const kept = suppress([seen(0, 0, 40, 0.9), seen(12, 0, 40, 0.8), seen(24, 0, 40, 0.7)], 0.45);
  expect(kept.map(({ x }) => x)).toEqual([0, 24]);
});

test('nothing in, nothing out', () => {
  expect(suppress([], 0.45)).toEqual([]);
});
