import { expect, test } from 'vitest';
import {
  balanced,
  highestReject,
  lowestAccept,
  mostAccurate,
  ratesAt,
  type ScoredPair,
} from '../../../bench/identity/verification.ts';

const same = (...values: number[]): ScoredPair[] => values.map((similarity) => ({ similarity, same: true }));
const different = (...values: number[]): ScoredPair[] => values.map((similarity) => ({ similarity, same: false }));
const PAIRS = [...same(0.8, 0.92, 0.95, 0.99), ...different(0.75, 0.78, 0.85, 0.91)];

test('rates count same and different people apart; a similarity at the threshold passes', () => {
  expect(ratesAt(PAIRS, 0.91)).toEqual({ threshold: 0.91, trueAccept: 0.75, falseAccept: 0.25, accuracy: 0.75 });
  expect(ratesAt(PAIRS, 1)).toMatchObject({ trueAccept: 0, falseAccept: 0, accuracy: 0.5 });
  expect(ratesAt(different(0.9), 0.5)).toMatchObject({ trueAccept: null, falseAccept: 1, accuracy: 0 });
  expect(ratesAt(same(Number.NaN), 0)).toMatchObject({ trueAccept: 0 });
});

test('the most accurate threshold, and the highest of those', () => {
  expect(mostAccurate(PAIRS)).toBe(0.92);
});

test('accept is the lowest that lets few enough strangers pass in every set, reject the highest that loses few enough', () => {
  expect(lowestAccept([PAIRS], 0)).toBe(0.9125);
  expect(lowestAccept([PAIRS], 0.25)).toBe(0.8525);
  expect(lowestAccept([PAIRS, different(0.93)], 0.25)).toBe(0.9325);
  expect(highestReject([PAIRS], 0)).toBe(0.8);
  expect(highestReject([PAIRS], 0.25)).toBe(0.92);
  expect(highestReject([PAIRS, same(0.75)], 0.25)).toBe(0.75);
});

test('balanced pairs are as many of each kind, spread over all', () => {
  const even = balanced([...same(0.9, 0.95), ...different(0.1, 0.2, 0.3, 0.4)]);
  expect(even.map(({ similarity }) => similarity)).toEqual([0.9, 0.95, 0.1, 0.3]);
});
