import { expect, test } from 'vitest';
import { type LookCandidate, LookSchedule } from '../../../inference/recognise/look-schedule.ts';

const OPTIONS = { apartFrames: 3, everyFrames: 15 };
const face = (track: number, goodLooks = 0, promise = 0.5): LookCandidate => ({ track, goodLooks, promise });

/** Frames of so many in which each track was looked at; `counts` says which looks do. */
function play(frames: number, candidates: (frame: number) => LookCandidate[], counts = () => true) {
  const schedule = new LookSchedule(OPTIONS);
  const looks = new Map<number, number[]>();
  for (let frame = 0; frame < frames; frame++) {
    const good = (track: number) => (counts() ? (looks.get(track)?.length ?? 0) : 0);
    const all = candidates(frame).map((each) => ({ ...each, goodLooks: good(each.track) }));
    const chosen = schedule.choose(frame, all);
    if (!chosen) continue;
    looks.set(chosen.track, [...(looks.get(chosen.track) ?? []), frame]);
    schedule.looked(frame, chosen, counts());
  }
  return looks;
}

test('a face is looked at three times soon, then now and then', () => {
  expect(play(60, () => [face(1)]).get(1)).toEqual([0, 3, 6, 21, 36, 51]);
});

test('of several faces each has its turn, one a frame', () => {
  const looks = play(120, () => [face(1), face(2), face(3), face(4), face(5)]);
  const all = [...looks.values()].flat();
  expect(new Set(all).size).toBe(all.length);
  expect([...looks.values()].every((frames) => frames.length >= 8)).toBe(true);
});

test('more faces than there are frames for are all looked at in turn', () => {
  const crowd = Array.from({ length: 40 }, (_, track) => face(track));
  const looks = play(240, () => crowd);
  expect(looks.size).toBe(40);
  expect(Math.min(...[...looks.values()].map(({ length }) => length))).toBeGreaterThanOrEqual(4);
});

test('a new face goes before those that are only due, and the more promising of two new ones first', () => {
  const schedule = new LookSchedule(OPTIONS);
  schedule.looked(0, schedule.choose(0, [face(1)])!, true);
  expect(schedule.choose(50, [face(1, 3), face(2, 0, 0.3), face(3, 0, 0.4)])?.track).toBe(3);
});

test('a face that shows much better than before is looked at before its time', () => {
  const schedule = new LookSchedule(OPTIONS);
  schedule.looked(0, schedule.choose(0, [face(1, 0, 0.3)])!, true);
  expect(schedule.choose(5, [face(1, 3, 0.35)])).toBeNull();
  expect(schedule.choose(5, [face(1, 3, 0.5)])?.track).toBe(1);
});

test('looks that do not count are tried more and more seldom', () => {
  const looks = play(
    100,
    () => [face(1)],
    () => false,
  ).get(1)!;
  expect(looks.slice(0, 4)).toEqual([0, 6, 18, 33]);
});

test('a face that promises nothing is not looked at', () => {
  expect(play(30, () => [face(1, 0, 0), face(2, 0, Number.NaN)]).size).toBe(0);
});

test('faces that went are forgotten, and begin anew', () => {
  const looks = play(300, (frame) => (frame < 10 || frame > 200 ? [face(1)] : []));
  expect(looks.get(1)!.filter((frame) => frame < 200)).toEqual([0, 3, 6]);
  expect(looks.get(1)![3]).toBe(201);
});
