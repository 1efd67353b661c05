import { expect, test } from 'vitest';
import { clusterTracklets } from '../../../inference/analysis/cluster.ts';
import { FrameClock } from '../../../inference/analysis/frame-clock.ts';
import { peopleOf } from '../../../inference/analysis/people.ts';
import { between, goodLooks, lookOf, tracklet } from './synthetic-people.ts';

const MIN_SIMILARITY = 0.93;
const three = (from: number) => [from, from + 1, from + 2];

test('parts of one person are together, others apart, whatever the order', () => {
  const parts = [
    tracklet(1, 0, 9, goodLooks(three(0), lookOf(0))),
    tracklet(2, 0, 9, goodLooks(three(0), lookOf(1))),
    tracklet(3, 20, 29, goodLooks(three(20), lookOf(0, 15))),
    tracklet(4, 40, 49, goodLooks(three(40), lookOf(1, 15))),
    tracklet(5, 60, 69, goodLooks(three(60), lookOf(2))),
  ];
  expect(clusterTracklets(parts, MIN_SIMILARITY)).toEqual([[0, 2], [1, 3], [4]]);
  const reversed = clusterTracklets(parts.toReversed(), MIN_SIMILARITY);
  expect(reversed.map((own) => own.map((i) => 4 - i).toSorted()).toSorted()).toEqual([[0, 2], [1, 3], [4]]);
});

test('two who are on screen at once are two people, however alike, and a third part goes with one of them', () => {
  const parts = [
    tracklet(1, 0, 50, goodLooks(three(0), lookOf(0))),
    tracklet(2, 30, 80, goodLooks(three(30), lookOf(0, 4))),
    tracklet(3, 100, 120, goodLooks(three(100), lookOf(0, 3))),
  ];
  expect(clusterTracklets(parts, MIN_SIMILARITY)).toEqual([[0], [1, 2]]);
});

test('nobody is joined through somebody in between: the wholes must be alike as well', () => {
  const steps = [0, 15, 30, 45, 60, 75].map((degrees, i) =>
    tracklet(i, i * 10, i * 10 + 5, goodLooks(three(i * 10), lookOf(0, degrees))),
  );
  const clusters = clusterTracklets(steps, MIN_SIMILARITY);
  expect(clusters.length).toBeGreaterThan(1);
  for (const own of clusters) expect(own.at(-1)! - own[0]!).toBeLessThanOrEqual(2);
});

test('a single look is no bridge between two people, and goes with whom it is most like', () => {
  const parts = [
    tracklet(1, 0, 9, goodLooks(three(0), lookOf(0, -18))),
    tracklet(2, 20, 29, goodLooks(three(20), lookOf(0, 18))),
    tracklet(3, 40, 49, goodLooks([40], lookOf(0, 2))),
  ];
  expect(clusterTracklets(parts, MIN_SIMILARITY)).toEqual([[0], [1, 2]]);
});

test('what is like nobody stays alone', () => {
  const parts = [between(0, 1, 0.5), between(2, 3, 0.5), lookOf(4)].map((look, i) =>
    tracklet(i, i * 10, i * 10 + 5, goodLooks([i * 10], look)),
  );
  expect(clusterTracklets(parts, MIN_SIMILARITY)).toEqual([[0], [1], [2]]);
});

test('many parts of few people are told apart in a bounded time', () => {
  const parts = Array.from({ length: 2600 }, (_, i) =>
    tracklet(i, i * 10, i * 10 + 5, goodLooks(three(i * 10), lookOf(i % 4, (i % 7) - 3))),
  );
  expect(clusterTracklets(parts, MIN_SIMILARITY).map(({ length }) => length)).toEqual([650, 650, 650, 650]);
});

test('a person appears in ranges of time: short absences don’t count, and the best portrait is taken', () => {
  const clock = new FrameClock();
  for (let frame = 0; frame < 300; frame++) clock.add(500 + frame * 40, 40);
  const parts = [
    tracklet(1, 0, 24, goodLooks(three(0), lookOf(0))),
    tracklet(1, 40, 49, goodLooks(three(40), lookOf(0))),
    tracklet(2, 100, 299, goodLooks(three(100), lookOf(0))),
    tracklet(3, 10, 20, goodLooks([10], lookOf(1))),
  ];
  const portraits = [0.3, 0.8, 0.5].map((quality) => ({ jpeg: Uint8Array.of(quality * 10), quality }));
  const people = peopleOf(parts, [...portraits, null], MIN_SIMILARITY, clock);
  expect(people).toEqual([
    {
      id: 1,
      tracklets: [0, 1, 2],
      firstFrame: 0,
      lastFrame: 299,
      ranges: [
        [0, 2000],
        [4000, 12_000],
      ],
      thumbnail: Uint8Array.of(8),
    },
    { id: 2, tracklets: [3], firstFrame: 10, lastFrame: 20, ranges: [[400, 840]], thumbnail: null },
  ]);
});
