import { describe, expect, test } from 'vitest';
import { DIMENSION, like, person, policyOf, RECOGNISER, Stage } from './stage.ts';

const SEQUENCES = 300;
const FRAMES = 60;
const PLACES = [100, 300, 500, 700, 900];
/** Looks that agree, as the rule asks for. */
const LOOKS = 3;

/** A generator of numbers 0..1 that a seed determines. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What a test knows of one track, by the letter of the rules. */
interface Witnessed {
  lastSeen: number;
  agreeing: number;
}

describe.each([1, 2, 3])('whatever happens (%i)', (seed) => {
  test(`nobody is ever seen without ${LOOKS} good looks that agree since it was last unsure who it is`, () => {
    let shown = 0;
    for (let sequence = 0; sequence < SEQUENCES; sequence++) shown += play(random(1000 * seed + sequence));
    // The sequences do show people, or this would say nothing.
    expect(shown).toBeGreaterThan(SEQUENCES);
  });
});

/** Plays one random sequence. @returns in how many face-frames somebody was seen */
function play(next: () => number): number {
  const stage = new Stage(policyOf('except', 0, 1));
  const witnessed = new Map<number, Witnessed>();
  const places = PLACES.filter(() => next() < 0.6);
  let listed = [0, 1];
  let shown = 0;
  for (let frame = 0; frame < FRAMES; frame++) {
    const event = next();
    if (event < 0.02) {
      stage.people.gap();
      witnessed.clear();
    } else if (event < 0.04) {
      listed = [0, 1].filter(() => next() < 0.7);
      stage.people.setPolicy(policyOf('except', ...listed));
    } else if (event < 0.06) {
      stage.cut();
    }
    const present = places.filter(() => next() < 0.97).map((x) => ({ x: x + (next() < 0.02 ? 35 : 0) }));
    stage.step(...present);
    for (const track of stage.tracks) {
      const known = witnessed.get(track);
      if (!known || known.lastSeen < frame - 1) witnessed.set(track, { lastSeen: frame, agreeing: 0 });
      else known.lastSeen = frame;
    }
    const visible = stage.visible();
    for (const [i, isVisible] of visible.entries()) {
      if (!isVisible) continue;
      shown++;
      expect(witnessed.get(stage.tracks[i]!)!.agreeing).toBeGreaterThanOrEqual(LOOKS);
      expect(listed.length).toBeGreaterThan(0);
    }
    // One look a frame, at most.
    const at = Math.floor(next() * present.length);
    const track = stage.tracks[at];
    if (track === undefined || next() < 0.2) continue;
    // Mostly somebody who is listed, for each place the same one; now and then somebody else.
    const axis =
      next() < 0.93 ? PLACES.indexOf(PLACES.find((x) => Math.abs(x - present[at]!.x) < 40)!) : 4 + (frame % 3);
    const similarity = next() < 0.95 ? 0.97 : 0.7;
    stage.people.look(track, frame, like(axis, similarity));
    const mine = witnessed.get(track)!;
    mine.agreeing = similarity >= RECOGNISER.thresholds.accept && listed.includes(axis) ? mine.agreeing + 1 : 0;
    expect(stage.visible(frame).filter(Boolean).length).toBeLessThanOrEqual(listed.length);
  }
  return shown;
}

test('a look that is no number covers, and so does one of another length', () => {
  const stage = new Stage(policyOf('except', 0));
  stage.watch(5, [{ x: 100 }], [person(0)]);
  expect(stage.visible()).toEqual([true]);
  stage.look(new Float32Array(DIMENSION).fill(Number.NaN));
  expect(stage.visible()).toEqual([false]);
  stage.watch(9, [{ x: 100 }], [new Float32Array(DIMENSION / 2).fill(0.5)]);
  expect(stage.visible()).toEqual([false]);
});
