import { describe, expect, test } from 'vitest';
import type { Tracklet } from '../../../inference/analysis/analysis.ts';
import { decide, showPeople } from '../../../inference/analysis/decide.ts';
import type { PeoplePolicy } from '../../../inference/policy.ts';
import { analysisOf, goodLooks, lookOf, tracklet } from './synthetic-people.ts';

const ANN = { id: 'ann', embeddings: [lookOf(0)] };
const BOB = { id: 'bob', embeddings: [lookOf(1), lookOf(2)] };

function policy(mode: PeoplePolicy['mode'], people = [ANN]): PeoplePolicy {
  return { mode, recogniser: 'synthetic', people };
}

/** What may be seen: track, first frame, last frame, whose it is. */
function shown(tracklets: readonly Tracklet[], wanted: PeoplePolicy) {
  return decide(analysisOf(tracklets), wanted)
    .filter(({ visible }) => visible)
    .map(({ track, firstFrame, lastFrame, identity }) => [track, firstFrame, lastFrame, identity]);
}

test('embeddings of another recogniser are refused', () => {
  expect(() => decide(analysisOf([]), { ...policy('except'), recogniser: 'other' })).toThrow(
    expect.objectContaining({ code: 'bad-options', message: expect.stringContaining('other') }),
  );
});

test('somebody of whom nothing is known is refused: everyone would be somebody else', () => {
  const nobody = { id: 'nobody', embeddings: [] };
  expect(() => decide(analysisOf([]), policy('only', [ANN, nobody]))).toThrow('nothing is known of nobody');
});

test('an embedding of another dimension or of no numbers shows nobody, in either mode', () => {
  const ann = tracklet(1, 0, 40, goodLooks([5, 20, 35], lookOf(0, 5)));
  for (const embedding of [new Float32Array(8).fill(Number.NaN), new Float32Array(4).fill(0.5)]) {
    const broken = { id: 'broken', embeddings: [embedding] };
    expect(shown([ann], policy('except', [broken]))).toEqual([]);
    expect(shown([ann], policy('only', [broken]))).toEqual([]);
  }
});

describe('except', () => {
  test('shows whom three good looks agree on, all the time that looks tell', () => {
    const ann = tracklet(7, 3, 40, goodLooks([5, 20, 35], lookOf(0, 5)));
    expect(shown([ann], policy('except'))).toEqual([[7, 3, 40, 'ann']]);
  });

  test('matches the nearest of several embeddings, and names the person', () => {
    const bob = tracklet(1, 0, 40, goodLooks([5, 20, 35], lookOf(2, 5)));
    expect(shown([bob], policy('except', [ANN, BOB]))).toEqual([[1, 0, 40, 'bob']]);
  });

  test.each([
    ['two looks', goodLooks([5, 20], lookOf(0))],
    ['looks of a stranger', goodLooks([5, 20, 35], lookOf(1))],
    ['looks that are nearly the person', goodLooks([5, 20, 35], lookOf(0, 21))],
    ['looks that are just a track’s, and not surely', goodLooks([5, 20, 35], lookOf(0, 20.8))],
  ])('covers on %s', (_, looks) => {
    expect(shown([tracklet(1, 0, 40, looks)], policy('except'))).toEqual([]);
  });

  test('a look that disagrees takes what is between its neighbours, and each side is decided on its own', () => {
    const looks = [
      ...goodLooks([0, 10, 20], lookOf(0)),
      ...goodLooks([30], lookOf(0, 60)),
      ...goodLooks([40, 50, 60], lookOf(0)),
    ];
    expect(shown([tracklet(1, 0, 70, looks)], policy('except'))).toEqual([
      [1, 0, 20, 'ann'],
      [1, 40, 70, 'ann'],
    ]);
    expect(shown([tracklet(1, 0, 70, looks.slice(1))], policy('except'))).toEqual([[1, 40, 70, 'ann']]);
  });

  test('what a person’s other appearances say counts, where the own looks are not against it', () => {
    const parts = [
      tracklet(1, 0, 40, goodLooks([0, 5, 10, 15, 20, 25], lookOf(0, 5))),
      tracklet(2, 100, 140, goodLooks([105, 120, 135], lookOf(0, 24))),
      tracklet(3, 200, 240, goodLooks([205, 220, 235], lookOf(0, 34))),
    ];
    expect(shown(parts, policy('except'))).toEqual([[1, 0, 40, 'ann']]);
    const person = { id: 1, tracklets: [0, 1, 2], firstFrame: 0, lastFrame: 240, ranges: [], thumbnail: null };
    const verdicts = decide({ ...analysisOf(parts), people: [person] }, policy('except'));
    expect(verdicts.map(({ track }) => track)).toEqual([1, 2]);
  });

  test('no frame is shown that is more than a second from a look', () => {
    const looks = goodLooks([50, 60, 70, 200], lookOf(0));
    expect(shown([tracklet(1, 0, 290, looks)], policy('except'))).toEqual([
      [1, 20, 100, 'ann'],
      [1, 170, 230, 'ann'],
    ]);
  });

  test('of two at a time who claim one person the better is shown, and none where that is not clear', () => {
    const claim = (track: number, degrees: number, from = 0) =>
      tracklet(track, from, from + 40, goodLooks([from + 5, from + 20, from + 35], lookOf(0, degrees)));
    expect(shown([claim(1, 2), claim(2, 15)], policy('except'))).toEqual([[1, 0, 40, 'ann']]);
    expect(shown([claim(1, 2), claim(2, 3)], policy('except'))).toEqual([]);
    expect(shown([claim(1, 2), claim(2, 3, 41)], policy('except'))).toHaveLength(2);
  });
});

describe('only', () => {
  test('shows those who surely are somebody else, and covers whom it names, or can’t tell', () => {
    const parts = [
      tracklet(1, 0, 40, goodLooks([5, 20, 35], lookOf(0, 5))),
      tracklet(2, 0, 40, goodLooks([5, 20, 35], lookOf(3))),
      tracklet(3, 0, 40, goodLooks([5, 20], lookOf(4))),
      tracklet(4, 0, 40, goodLooks([5, 20, 35], lookOf(0, 30))),
    ];
    expect(shown(parts, policy('only'))).toEqual([[2, 0, 40, null]]);
    const named = decide(analysisOf(parts), policy('only')).filter(({ identity }) => identity === 'ann');
    expect(named).toEqual([{ track: 1, firstFrame: 0, lastFrame: 40, identity: 'ann', visible: false }]);
  });

  test('a look that may be the person takes what is between its neighbours', () => {
    const looks = [
      ...goodLooks([0, 10, 20], lookOf(3)),
      ...goodLooks([30], lookOf(0, 30)),
      ...goodLooks([40, 50, 60], lookOf(3)),
    ];
    expect(shown([tracklet(1, 0, 70, looks)], policy('only'))).toEqual([
      [1, 0, 20, null],
      [1, 40, 70, null],
    ]);
  });
});

test('people chosen by hand are shown near their looks, and no others', () => {
  const tracklets = [
    tracklet(1, 0, 90, goodLooks([5], lookOf(0))),
    tracklet(2, 0, 90, goodLooks([5], lookOf(1))),
    tracklet(3, 100, 120, goodLooks([105], lookOf(0))),
  ];
  const person = (id: number, own: number[]) => ({
    id,
    tracklets: own,
    firstFrame: 0,
    lastFrame: 1,
    ranges: [],
    thumbnail: null,
  });
  const analysis = { ...analysisOf(tracklets), people: [person(1, [0, 2]), person(2, [1])] };
  const verdicts = showPeople(analysis, ({ id }) => id === 1);
  expect(verdicts.map(({ track, firstFrame, lastFrame, visible }) => [track, firstFrame, lastFrame, visible])).toEqual([
    [1, 0, 35, true],
    [3, 100, 120, true],
  ]);
});
