import { describe, expect, test } from 'vitest';
import { DIMENSION, like, person, policyOf, RECOGNISER, Stage } from './stage.ts';

const [ANNA, BERT, CARL] = [0, 1, 2];
/** Far enough from each other that nobody can take them for one another. */
const [HERE, THERE] = [{ x: 100 }, { x: 500 }];
const anna = like(ANNA, 0.97);
const stranger = like(ANNA, 0.5);
const annas = (visible: boolean, reason: string) => ({ visible, reason });

describe('with `except`', () => {
  test('a listed person is seen from the third good look on that agrees', () => {
    const stage = new Stage(policyOf('except', ANNA));
    const visible: boolean[] = [];
    for (let n = 0; n < 5; n++) {
      stage.watch(1, [HERE, THERE], [anna, stranger]);
      expect(stage.visible()[1]).toBe(false);
      visible.push(stage.visible()[0]!);
    }
    expect(visible).toEqual([false, false, true, true, true]);
    expect(stage.verdicts()).toMatchObject([
      { visible: true, reason: 'match', identity: { id: 'person-0', similarity: expect.closeTo(0.97, 4) } },
      { visible: false, reason: 'unknown', identity: null },
    ]);
  });

  test('looks that neither agree nor disagree don’t count', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(2, [HERE], [anna]);
    stage.watch(9, [HERE], [like(ANNA, 0.88)]);
    expect(stage.visible()).toEqual([false]);
  });

  test('looks that agree are not enough where their mean is not near enough', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(20, [HERE], [like(ANNA, 0.93)]);
    expect(stage.visible()).toEqual([false]);
  });

  test('looks that differ from one another are not one person’s', () => {
    const stage = new Stage(policyOf('except', ANNA));
    for (let n = 0; n < 12; n++) stage.watch(1, [HERE], [like(ANNA, 0.92, 3 + (n % 2))]);
    expect(stage.visible()).toEqual([false]);
  });

  test('one good look that disagrees covers at once, and then it takes three again', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(8, [HERE], [anna]);
    expect(stage.visible()).toEqual([true]);
    stage.watch(1, [HERE], [like(ANNA, 0.8)]);
    expect(stage.visible()).toEqual([false]);
    stage.watch(2, [HERE], [anna]);
    expect(stage.visible()).toEqual([false]);
    stage.watch(2, [HERE], [anna]);
    expect(stage.visible()).toEqual([true]);
  });

  test('a mean that drifts away covers, though no look disagrees by itself', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(3, [HERE], [anna]);
    stage.watch(30, [HERE], [like(ANNA, 0.88)]);
    expect(stage.visible()).toEqual([false]);
  });

  test('a face between two listed people is neither', () => {
    // Two people of a similarity of 0.8 to one another, and a face of one of 0.949 to both.
    const aside = like(ANNA, Math.sqrt(0.9), 3);
    const people = [
      { id: 'a', embeddings: [aside] },
      { id: 'b', embeddings: [aside.map((value, axis) => (axis === 3 ? -value : value))] },
    ];
    const stage = new Stage({ mode: 'except', recogniser: RECOGNISER.name, people });
    stage.watch(9, [HERE], [person(ANNA)]);
    expect(stage.visible()).toEqual([false]);
    stage.people.setPolicy({ mode: 'except', recogniser: RECOGNISER.name, people: people.slice(0, 1) });
    stage.watch(3, [HERE], [person(ANNA)]);
    expect(stage.visible()).toEqual([true]);
  });

  test('who is enrolled twice is seen all the same', () => {
    const people = [
      { id: 'anna', embeddings: [person(ANNA)] },
      { id: 'anna again', embeddings: [like(ANNA, 0.98)] },
    ];
    const stage = new Stage({ mode: 'except', recogniser: RECOGNISER.name, people });
    for (let n = 0; n < 12; n++) {
      stage.watch(1, [HERE], [n % 2 ? like(ANNA, 0.95, 5) : like(ANNA, 0.98)]);
      expect(stage.visible()).toEqual([n >= 2]);
    }
  });
});

describe('a face that was sure to be somebody’s is covered until three more looks', () => {
  const shown = () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE, THERE], [anna, null]);
    expect(stage.visible()).toEqual([true, false]);
    return stage;
  };
  const takesThreeLooks = (stage: Stage, at: { x: number }) => {
    expect(stage.visible()[0]).toBe(false);
    stage.watch(2, [at, THERE], [anna, null]);
    expect(stage.visible()[0]).toBe(false);
    stage.watch(1, [at, THERE], [anna, null]);
    expect(stage.visible()[0]).toBe(true);
  };

  test('when one detection did not see it', () => {
    const stage = shown();
    const [track] = stage.tracks;
    stage.step(THERE);
    stage.step(HERE, THERE);
    expect(stage.tracks[0]).toBe(track);
    takesThreeLooks(stage, HERE);
  });

  test('when its box jumps', () => {
    const stage = shown();
    const [track] = stage.tracks;
    stage.step({ x: 130 }, THERE);
    expect(stage.tracks[0]).toBe(track);
    takesThreeLooks(stage, { x: 130 });
  });

  test('when its box grows at once', () => {
    const stage = shown();
    stage.step({ x: 80, side: 100 }, THERE);
    expect(stage.visible()[0]).toBe(false);
  });

  test('when it meets another face, in that frame as well', () => {
    const stage = shown();
    for (let x = THERE.x; x > 130; x -= 15) stage.step(HERE, { x });
    expect(stage.visible()[0]).toBe(false);
    for (let x = 155; x <= THERE.x; x += 15) stage.step(HERE, { x });
    takesThreeLooks(stage, HERE);
  });

  test('when frames are missing', () => {
    const stage = shown();
    stage.people.gap();
    stage.step(HERE, THERE);
    takesThreeLooks(stage, HERE);
  });

  test('when a look at it fails', () => {
    const stage = shown();
    stage.people.lookFailed(stage.tracks[0]);
    stage.step(HERE, THERE);
    takesThreeLooks(stage, HERE);
  });

  test('when no good look was to be had for long', () => {
    const stage = shown();
    stage.watch(91, [HERE, THERE], [null, null]);
    takesThreeLooks(stage, HERE);
  });

  test('when the scene cuts', () => {
    const stage = shown();
    const [track] = stage.tracks;
    stage.cut();
    stage.step(HERE, THERE);
    expect(stage.tracks[0]).not.toBe(track);
    takesThreeLooks(stage, HERE);
  });
});

test('frames that are still held are covered as well once it is not sure whose face it is', () => {
  const stage = new Stage(policyOf('except', ANNA));
  stage.watch(20, [HERE], [anna]);
  expect(stage.visible(12)).toEqual([true]);
  stage.look(like(ANNA, 0.5));
  expect(stage.visible(13)).toEqual([false]);
});

test('frames from before it was sure whose face it is are covered, whatever is known later', () => {
  const stage = new Stage(policyOf('except', ANNA));
  stage.watch(4, [HERE], [anna]);
  stage.people.gap();
  stage.watch(4, [HERE], [anna]);
  expect(stage.visible(3)).toEqual([false]);
  expect(stage.visible(4)).toEqual([true]);
});

test('a frame after the last sighting is covered: nobody saw who is there', () => {
  const stage = new Stage(policyOf('except', ANNA));
  stage.watch(5, [HERE], [anna]);
  const [track] = stage.tracks;
  stage.step();
  stage.tracks = [track!];
  expect(stage.verdicts()).toMatchObject([{ visible: false }]);
});

test('a look that comes after its track may have changed its face says nothing', () => {
  const stage = new Stage(policyOf('except', ANNA));
  stage.watch(3, [HERE], [null]);
  const [track] = stage.tracks;
  stage.people.gap();
  stage.step(HERE);
  for (let n = 0; n < 5; n++) stage.people.look(track!, 2, anna);
  expect(stage.people.goodLooks(track!)).toBe(0);
  expect(stage.visible()).toEqual([false]);
});

describe('two faces that claim one person', () => {
  test('the clearly better one keeps it, and the other is not them even when alone', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(6, [HERE, THERE], [like(ANNA, 0.98), like(ANNA, 0.95)]);
    expect(stage.visible()).toEqual([true, false]);
    stage.watch(9, [THERE], [like(ANNA, 0.95)]);
    expect(stage.visible()).toEqual([false]);
  });

  test('who comes later and is clearly better takes it over', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE], [like(ANNA, 0.95)]);
    expect(stage.visible()).toEqual([true]);
    stage.watch(1, [HERE, THERE], [like(ANNA, 0.95), like(ANNA, 0.99)]);
    expect(stage.visible()).toEqual([false, false]);
    stage.watch(2, [HERE, THERE], [like(ANNA, 0.95), like(ANNA, 0.99)]);
    expect(stage.visible()).toEqual([false, true]);
  });

  test('both are covered while it is not clear', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE], [like(ANNA, 0.97)]);
    expect(stage.visible()).toEqual([true]);
    stage.watch(9, [HERE, THERE], [like(ANNA, 0.97), like(ANNA, 0.975)]);
    expect(stage.visible()).toEqual([false, false]);
  });
});

describe('with `only`', () => {
  test('others are seen from the third good look below reject on, and the listed are not', () => {
    const stage = new Stage(policyOf('only', ANNA));
    const visible: boolean[][] = [];
    for (let n = 0; n < 4; n++) {
      stage.watch(1, [HERE, THERE], [like(BERT, 0.99), anna]);
      visible.push(stage.visible());
    }
    expect(visible).toEqual([
      [false, false],
      [false, false],
      [true, false],
      [true, false],
    ]);
    expect(stage.verdicts()).toMatchObject([
      { reason: 'not-listed', identity: null },
      { reason: 'policy', identity: { id: 'person-0' } },
    ]);
  });

  test('one look that is not below reject covers at once', () => {
    const stage = new Stage(policyOf('only', ANNA));
    stage.watch(5, [HERE], [like(ANNA, 0.855)]);
    expect(stage.visible()).toEqual([true]);
    stage.watch(1, [HERE], [like(ANNA, 0.87)]);
    expect(stage.visible()).toEqual([false]);
    stage.watch(2, [HERE], [like(ANNA, 0.83)]);
    expect(stage.visible()).toEqual([false]);
  });

  test('when one more person is listed nobody is seen until looks say that they are not them', () => {
    const stage = new Stage(policyOf('only', ANNA));
    stage.watch(4, [HERE, THERE], [like(BERT, 0.99), like(CARL, 0.99)]);
    expect(stage.visible()).toEqual([true, true]);
    stage.people.setPolicy(policyOf('only', ANNA, BERT));
    expect(stage.visible()).toEqual([false, false]);
    stage.watch(4, [HERE, THERE], [like(BERT, 0.99), like(CARL, 0.99)]);
    expect(stage.visible()).toEqual([false, true]);
  });
});

describe('a policy that changes', () => {
  test('covers who is not listed any more in the next frame, and keeps who still is', () => {
    const stage = new Stage(policyOf('except', ANNA, BERT));
    stage.watch(5, [HERE, THERE], [anna, like(BERT, 0.97)]);
    expect(stage.visible()).toEqual([true, true]);
    stage.people.setPolicy(policyOf('except', BERT));
    expect(stage.visible()).toEqual([false, true]);
    stage.people.setPolicy(null);
    expect(stage.verdicts()).toMatchObject([annas(false, 'policy'), annas(false, 'policy')]);
  });

  test('that is the same again changes nothing', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE], [anna]);
    stage.people.setPolicy(policyOf('except', ANNA));
    expect(stage.visible()).toEqual([true]);
  });

  test('with the same person enrolled anew needs three looks', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE], [anna]);
    const people = [{ id: 'person-0', embeddings: [like(ANNA, 0.99)] }];
    stage.people.setPolicy({ ...policyOf('except'), people });
    expect(stage.visible()).toEqual([false]);
  });

  test('of another recogniser shows nobody, and says why', () => {
    const stage = new Stage({ ...policyOf('except', ANNA), recogniser: 'another' });
    stage.watch(9, [HERE], [anna]);
    expect(stage.visible()).toEqual([false]);
    expect(stage.people.problem).toMatch(/enrolled with another, but scripted/);
    stage.people.setPolicy({ ...policyOf('only', ANNA), recogniser: 'another' });
    stage.watch(9, [HERE], [like(BERT, 0.99)]);
    expect(stage.visible()).toEqual([false]);
    stage.people.setPolicy(policyOf('except', ANNA));
    expect(stage.people.problem).toBeNull();
  });

  test.each(['except', 'only'] as const)('whose embeddings are of another length shows nobody with `%s`', (mode) => {
    const people = [{ id: 'x', embeddings: [new Float32Array(DIMENSION / 2).fill(0.5)] }];
    const stage = new Stage({ mode, recogniser: RECOGNISER.name, people });
    stage.watch(9, [HERE], [anna]);
    expect(stage.visible()).toEqual([false]);
    expect(stage.people.problem).toMatch(/need 8/);
  });
});

describe('a person whom somebody pins', () => {
  const pinned = (policy: Parameters<typeof policyOf> | null = null) => {
    const stage = new Stage(policy && policyOf(...policy));
    stage.watch(1, [HERE, THERE], [null, null]);
    stage.people.pin(stage.tracks[0]!, true);
    stage.watch(4, [HERE, THERE], [anna, stranger]);
    expect(stage.verdicts()).toMatchObject([annas(true, 'pinned'), { visible: policy !== null }]);
    return stage;
  };

  test('is seen at once, and again after leaving and coming back', () => {
    const stage = pinned();
    stage.watch(200, [THERE], [stranger]);
    expect(stage.visible()).toEqual([false]);
    stage.watch(2, [THERE, { x: 900 }], [stranger, anna]);
    expect(stage.visible()).toEqual([false, false]);
    stage.watch(1, [THERE, { x: 900 }], [stranger, anna]);
    expect(stage.verdicts()).toMatchObject([annas(false, 'policy'), annas(true, 'pinned')]);
  });

  test('is not remembered where three good looks never came', () => {
    const stage = new Stage(null);
    stage.step(HERE);
    stage.people.pin(stage.tracks[0]!, true);
    stage.watch(2, [HERE], [anna]);
    expect(stage.visible()).toEqual([true]);
    stage.watch(200, [], []);
    stage.watch(9, [HERE], [anna]);
    expect(stage.visible()).toEqual([false]);
  });

  test('is covered again on request, for the session', () => {
    const stage = pinned();
    stage.people.pin(stage.tracks[0]!, false);
    expect(stage.verdicts()[0]).toMatchObject(annas(false, 'hidden'));
    stage.watch(200, [THERE], [stranger]);
    stage.watch(9, [{ x: 900 }], [anna]);
    expect(stage.visible()).toEqual([false]);
  });

  test('is seen though `only` lists them', () => {
    const stage = pinned(['only', ANNA]);
    stage.watch(4, [HERE, THERE], [anna, stranger]);
    expect(stage.verdicts()[0]).toMatchObject({ visible: true, reason: 'pinned', identity: { id: 'person-0' } });
  });
});

describe('a listed person whom somebody covers', () => {
  test('stays covered, also after coming back, until somebody shows them', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.watch(5, [HERE], [anna]);
    stage.people.pin(stage.tracks[0]!, false);
    expect(stage.verdicts()).toMatchObject([annas(false, 'hidden')]);
    stage.watch(200, [], []);
    stage.watch(5, [THERE], [anna]);
    expect(stage.verdicts()).toMatchObject([annas(false, 'hidden')]);
    stage.people.pin(stage.tracks[0]!, true);
    stage.watch(1, [THERE], [anna]);
    expect(stage.verdicts()).toMatchObject([annas(true, 'pinned')]);
  });

  test('before it was known who they are, stays covered as well', () => {
    const stage = new Stage(policyOf('except', ANNA));
    stage.step(HERE);
    stage.people.pin(stage.tracks[0]!, false);
    stage.people.gap();
    stage.watch(9, [HERE], [anna]);
    expect(stage.verdicts()).toMatchObject([annas(false, 'hidden')]);
    stage.watch(200, [], []);
    stage.watch(9, [THERE], [anna]);
    expect(stage.verdicts()).toMatchObject([annas(false, 'hidden')]);
  });
});
