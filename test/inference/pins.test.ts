import { describe, expect, test } from 'vitest';
import type { Cover } from '../../inference/track/coverage.ts';
import { Pins } from '../../inference/track/pins.ts';
import { runPipeline } from './scripted-pipeline.ts';
import { seen } from './synthetic-tracks.ts';

const face = (track: number, x: number, score: number | null = 0.9): Cover => ({
  track,
  box: { x, y: 0, w: 20, h: 20 },
  score,
});

describe('a pinned face', () => {
  test('is shown while it is seen, and no other', () => {
    const pins = new Pins();
    pins.set(1, true);
    expect(pins.shownOf([face(1, 0), face(2, 100)], 0)).toEqual([face(1, 0)]);
    pins.set(1, false);
    expect(pins.shownOf([face(1, 0), face(2, 100)], 1)).toEqual([]);
  });

  test('is covered for good once it has met another one, for nobody knows then which is which', () => {
    const pins = new Pins();
    pins.set(1, true);
    expect(pins.shownOf([face(1, 0), face(2, 40)], 0)).toHaveLength(1);
    expect(pins.shownOf([face(1, 20), face(2, 30)], 1)).toEqual([]);
    expect(pins.shownOf([face(1, 0), face(2, 100)], 2)).toEqual([]);
  });

  test('is covered for good once it was out of sight for long, or left', () => {
    const pins = new Pins();
    pins.set(1, true);
    expect(pins.shownOf([face(1, 0)], 0)).toHaveLength(1);
    // The longest look-ahead brackets fifteen frames.
    expect(pins.shownOf([face(1, 0, null)], 15)).toHaveLength(1);
    expect(pins.shownOf([face(1, 0, null)], 30)).toEqual([]);
    expect(pins.shownOf([face(1, 0)], 31)).toEqual([]);
    pins.set(1, true);
    expect(pins.shownOf([], 32)).toEqual([]);
    expect(pins.shownOf([face(1, 0)], 33)).toEqual([]);
  });
});

test('a pipeline shows a pinned face as it is and covers the others', async () => {
  const two = () => [seen(4, 4, 12), seen(40, 28, 14)];
  const run = await runPipeline(12, two, {
    windowFrames: 0,
    beforeFrame: (frame, pipeline) => {
      if (frame === 5) expect(pipeline.pin(1, true)).toBe(true);
      if (frame === 9) expect(pipeline.pin(1, false)).toBe(true);
      expect(pipeline.pin(77, true)).toBe(false);
    },
  });
  for (const { index, covers, changedAt } of run.left) {
    const isShown = index >= 5 && index < 9;
    expect(covers.map(({ track }) => track)).toEqual(isShown ? [2] : [1, 2]);
    expect(changedAt(47, 35)).toBe(true);
    expect([...Array(6).keys()].some((i) => changedAt(8 + i, 10))).toBe(!isShown);
  }
});

test('a window and a pace that change between frames leave nothing uninspected', async () => {
  const run = await runPipeline(40, () => [], {
    windowFrames: 6,
    detectEveryFrames: 3,
    beforeFrame: (frame, pipeline) => {
      if (frame === 10) pipeline.change({ windowFrames: 0, detectEveryFrames: 1 });
      if (frame === 20) pipeline.change({ windowFrames: 12, detectEveryFrames: 6 });
      if (frame === 33) pipeline.change({ windowFrames: 2, detectEveryFrames: 2 });
    },
  });
  expect(run.left.map(({ index }) => index)).toEqual([...Array(40).keys()]);
  expect(run.left.filter(({ whole }) => whole)).toEqual([]);
  expect(run.left.every(({ pixels }) => pixels === 'untouched')).toBe(true);
  expect(run.detector.asked.filter((frame) => frame >= 10 && frame < 20)).toHaveLength(10);
});

test('before a gap what is held is looked at rather than bracketed across it', async () => {
  const run = await runPipeline(10, () => [], {
    windowFrames: 6,
    detectEveryFrames: 4,
    beforeFrame: async (frame, pipeline) => {
      if (frame === 6) await pipeline.gap();
    },
  });
  expect(run.detector.asked).toEqual([0, 4, 5, 6, 9]);
});
