import { expect, test } from 'vitest';
import type { PicturedLook } from '../../../inference/analysis/track-looks.ts';
import { TrackletBuilder } from '../../../inference/analysis/tracklet-builder.ts';
import type { Cover } from '../../../inference/track/coverage.ts';
import { between, lookOf, seen, THRESHOLDS } from './synthetic-people.ts';

const NOBODY = new Set<number>();

interface Step {
  readonly faces: readonly Cover[];
  readonly looks?: Readonly<Record<number, Float32Array>>;
  readonly jumped?: readonly number[];
  readonly isInspected?: boolean;
}

function pictured(frame: number, embedding: Float32Array): PicturedLook {
  return { frame, embedding, quality: 0.5 + frame / 1000, thumbnail: Uint8Array.of(frame) };
}

/** The parts that frames come to: track, first frame, last frame, frames of the looks. */
function partsOf(steps: readonly Step[]) {
  const builder = new TrackletBuilder({ maxUnseenFrames: 5, thresholds: THRESHOLDS });
  for (const [index, { faces, looks = {}, jumped, isInspected = true }] of steps.entries()) {
    const byTrack = Object.entries(looks).map(([track, look]) => [Number(track), pictured(index, look)] as const);
    builder.add({ index, isInspected, faces }, new Map(byTrack), jumped ? new Set(jumped) : NOBODY);
  }
  return builder.finish();
}

const ranges = (steps: readonly Step[]) =>
  partsOf(steps).map(({ tracklet: { track, firstFrame, lastFrame, looks } }) => [
    track,
    firstFrame,
    lastFrame,
    looks.map(({ frame }) => frame),
  ]);

const times = <T>(count: number, make: (frame: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const ann = { 1: lookOf(0) };

test('a face that is followed without doubt is one part, from its first sighting to its last', () => {
  const steps: Step[] = times(12, (frame) => ({
    faces: [seen(1, 100, frame >= 2 && frame <= 9 ? 0.9 : null)],
    ...(frame === 4 && { looks: ann }),
  }));
  expect(ranges(steps)).toEqual([[1, 2, 9, [4]]]);
});

test('nothing is kept of a part without a good look', () => {
  expect(partsOf(times(10, () => ({ faces: [seen(1, 100)] })))).toEqual([]);
});

test('a face is cut where it meets another one, and both are in no part meanwhile', () => {
  const steps: Step[] = times(9, (frame) => ({
    faces: [seen(1, 100), seen(2, frame === 4 ? 120 : 300)],
    ...((frame === 2 || frame === 7) && { looks: { 1: lookOf(0), 2: lookOf(1) } }),
  }));
  expect(ranges(steps)).toEqual([
    [1, 0, 3, [2]],
    [2, 0, 3, [2]],
    [1, 5, 8, [7]],
    [2, 5, 8, [7]],
  ]);
});

test('a face that was out of sight for long is cut, and not where it was for short', () => {
  const unseen = (from: number, to: number): Step[] =>
    times(16, (frame) => ({
      faces: [seen(1, 100, frame >= from && frame <= to ? null : 0.9)],
      ...((frame === 1 || frame === 14) && { looks: ann }),
    }));
  expect(ranges(unseen(4, 7))).toEqual([[1, 0, 15, [1, 14]]]);
  expect(ranges(unseen(4, 11))).toEqual([
    [1, 0, 3, [1]],
    [1, 12, 15, [14]],
  ]);
});

test('a frame that was not inspected ends all parts', () => {
  const steps: Step[] = times(6, (frame) => ({
    faces: frame === 3 ? [] : [seen(1, 100)],
    isInspected: frame !== 3,
    ...((frame === 1 || frame === 5) && { looks: ann }),
  }));
  expect(ranges(steps)).toEqual([
    [1, 0, 2, [1]],
    [1, 4, 5, [5]],
  ]);
});

test('a look that shows somebody else cuts back to the look before: in between nobody knows', () => {
  const steps: Step[] = times(12, (frame) => ({
    faces: [seen(1, 100)],
    ...((frame === 1 || frame === 4) && { looks: ann }),
    ...(frame === 10 && { looks: { 1: lookOf(1) } }),
  }));
  expect(ranges(steps)).toEqual([
    [1, 0, 4, [1, 4]],
    [1, 10, 11, [10]],
  ]);
});

test('after a jump a look in that very frame must show the same face, else it is cut', () => {
  const jump = (look?: Float32Array): Step[] =>
    times(8, (frame) => ({
      faces: [seen(1, 100)],
      ...((frame === 1 || frame === 6) && { looks: ann }),
      ...(frame === 4 && { jumped: [1], ...(look && { looks: { 1: look } }) }),
    }));
  expect(ranges(jump(lookOf(0)))).toEqual([[1, 0, 7, [1, 4, 6]]]);
  expect(ranges(jump())).toEqual([
    [1, 0, 3, [1]],
    [1, 4, 7, [6]],
  ]);
  // Alike enough for a look in between, and too little for one after a jump.
  const similar = lookOf(0, 30);
  expect(ranges(jump(similar))[0]).toEqual([1, 0, 1, [1]]);
});

test('a part whose first looks show somebody else than its last is two, though each look is like the ones before', () => {
  const drift = (frame: number) => (frame < 4 ? lookOf(0) : between(0, 1, 0.75));
  const steps: Step[] = times(8, (frame) => ({ faces: [seen(1, 100)], looks: { 1: drift(frame) } }));
  expect(ranges(steps)).toEqual([
    [1, 0, 3, [0, 1, 2, 3]],
    [1, 4, 7, [4, 5, 6, 7]],
  ]);
});

test('the portrait is of the best look of its own part', () => {
  const drift = (frame: number) => (frame < 4 ? lookOf(0) : between(0, 1, 0.75));
  const parts = partsOf(times(8, (frame) => ({ faces: [seen(1, 100)], looks: { 1: drift(frame) } })));
  expect(parts.map(({ portrait }) => portrait && [...portrait.jpeg])).toEqual([null, [7]]);
});
