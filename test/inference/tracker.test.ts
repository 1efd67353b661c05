import { describe, expect, test } from 'vitest';
import { PICTURE_SIDE, seen, TRACKER, TrackedScene } from './synthetic-tracks.ts';

/** Speaks for a face of a small box, and is not enough alone. */
const LIKELY_SCORE = TRACKER.belief.neutralScore + TRACKER.belief.enough / 2;

const ids = (scene: TrackedScene, frame: number) => scene.tracker.tracksFrom(frame).map(({ id }) => id);

describe('identity', () => {
  test('a face keeps its id through an occlusion of half a second', () => {
    const scene = new TrackedScene();
    for (let frame = 0; frame <= 30; frame += 3) scene.update(frame, seen(100 + 2 * frame, 100, 40));
    for (let frame = 33; frame <= 45; frame += 3) scene.update(frame);
    for (let frame = 48; frame <= 60; frame += 3) scene.update(frame, seen(100 + 2 * frame, 100, 40));
    expect(ids(scene, 60)).toEqual([1]);
  });

  test('two faces that cross keep their ids', () => {
    const scene = new TrackedScene();
    const left = (frame: number) => seen(100 + 4 * frame, 100, 40);
    const right = (frame: number) => seen(340 - 4 * frame, 112, 40);
    scene.update(0, left(0), right(0));
    const [first, second] = [scene.idsAt(0, 120, 110), scene.idsAt(0, 360, 140)];
    for (let frame = 3; frame <= 60; frame += 3) scene.update(frame, left(frame), right(frame));
    const at60 = scene.coversAt(60);
    expect(at60.find(({ box }) => box.x === left(60).x)?.track).toBe(first[0]);
    expect(at60.find(({ box }) => box.x === right(60).x)?.track).toBe(second[0]);
    expect(at60).toHaveLength(2);
  });

  test('a small face whose every step takes it past its own size keeps its id, once its speed is known', () => {
    const scene = new TrackedScene();
    // From 2 px a frame up to 4: at the end a face of 10 px goes 12 px from one detection to the next.
    let x = 50;
    for (let frame = 0; frame <= 60; frame += 3) {
      scene.update(frame, seen(x, 50, 10));
      x += Math.min(12, 6 + frame / 4);
    }
    expect(ids(scene, 60)).toEqual([1]);
  });

  test('detections may come in any order', () => {
    const scene = new TrackedScene();
    const faces = [seen(0, 0, 30), seen(100, 0, 30, 0.8), seen(200, 0, 30, 0.7)];
    scene.update(0, ...faces);
    scene.update(3, ...faces.toReversed());
    scene.update(6, ...faces);
    expect(ids(scene, 6)).toEqual([1, 2, 3]);
    expect(scene.idsAt(6, 110, 10)).toHaveLength(1);
  });
});

describe('sure and unsure detections', () => {
  test('unsure ones keep a track alive', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    for (let frame = 3; frame <= 90; frame += 3) scene.update(frame, seen(100, 100, 40, 0.11));
    expect(ids(scene, 90)).toEqual([1]);
    expect(scene.coversAt(90)).toMatchObject([{ track: 1, score: 0.11 }]);
  });

  test('unsure ones below the birth score start none, however often they come', () => {
    const scene = new TrackedScene();
    for (let frame = 0; frame <= 90; frame += 3) {
      scene.update(frame, seen(100, 100, 40, 0.14));
      expect(scene.coversAt(frame)).toEqual([]);
    }
  });

  test('a face that is never sure is covered once enough looks spoke for it, from its first sighting on', () => {
    const scene = new TrackedScene();
    const { neutralScore, enough } = TRACKER.belief;
    const gain = 0.07;
    const looks = Math.ceil(enough / gain);
    for (let n = 1; n < looks; n++) scene.update(3 * n, seen(100, 100, 40, neutralScore + gain));
    expect(scene.idsAt(3, 120, 120)).toEqual([]);
    for (let n = looks; n <= looks + 1; n++) scene.update(3 * n, seen(100, 100, 40, neutralScore + gain));
    expect(scene.idsAt(3, 120, 120)).toEqual([1]);
    expect(scene.idsAt(5, 120, 120)).toEqual([1]);
  });

  test('what is seen too weakly to be a face never becomes one, however long it stays', () => {
    const scene = new TrackedScene();
    for (let n = 1; n <= 100; n++) scene.update(3 * n, seen(100, 100, 40, TRACKER.belief.neutralScore));
    expect(scene.idsAt(300, 120, 120)).toEqual([]);
  });

  test('looks that miss it speak against a face', () => {
    const scene = new TrackedScene({ belief: { ...TRACKER.belief, missCost: 0.2 } });
    const weak = seen(100, 100, 40, TRACKER.belief.neutralScore + 0.2);
    for (let n = 1; n <= 20; n++) scene.update(3 * n, ...(n % 2 === 0 ? [weak] : []));
    expect(scene.idsAt(60, 120, 120)).toEqual([]);
  });

  test('more is asked of a large box: a detector is surer of large faces, and covers more where it errs', () => {
    const score = (TRACKER.belief.largeNeutralScore + TRACKER.belief.neutralScore) / 2;
    const scene = new TrackedScene();
    for (let n = 1; n <= 6; n++)
      scene.update(3 * n, seen(100, 100, 40, score), seen(500, 100, PICTURE_SIDE / 4, score));
    expect(scene.idsAt(18, 120, 120)).toEqual([1]);
    expect(scene.idsAt(18, 600, 200)).toEqual([]);
  });

  test('a face that was likely once is covered as unknown until two more looks did not find it', () => {
    const scene = new TrackedScene();
    scene.update(3, seen(100, 100, 40, LIKELY_SCORE));
    expect(scene.idsAt(3, 120, 120)).toEqual([1]);
    scene.update(6);
    expect(scene.idsAt(3, 120, 120)).toEqual([1]);
    scene.update(9);
    expect(scene.idsAt(3, 120, 120)).toEqual([]);
  });

  test('one look that is sure is enough, however large the face and whatever the looks after it say', () => {
    const scene = new TrackedScene({ belief: { ...TRACKER.belief, largeNeutralScore: 0.8 } });
    const { sureScore } = TRACKER.belief;
    const large = (x: number, score: number) => seen(x, 100, PICTURE_SIDE / 4, score);
    scene.update(3, large(100, sureScore), large(800, sureScore - 0.01));
    for (const frame of [6, 9, 12]) scene.update(frame, large(100, 0.3), large(800, 0.3));
    expect(scene.idsAt(3, 200, 200)).toEqual([1]);
    expect(scene.idsAt(3, 900, 200)).toEqual([]);
  });

  test('a face that was likely once, just before its scene ends, stays covered: nothing can tell any more', () => {
    const scene = new TrackedScene();
    scene.update(3, seen(100, 100, 40, LIKELY_SCORE));
    scene.tracker.cut(5);
    for (let frame = 6; frame <= 30; frame += 3) scene.update(frame);
    expect(scene.idsAt(3, 120, 120)).toEqual([1]);
  });

  test('a sure detection takes the track before an unsure one that lies nearer', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    scene.update(3, seen(100, 100, 40, 0.12), seen(106, 100, 40, 0.9));
    expect(scene.coversAt(3)).toMatchObject([{ track: 1, box: { x: 106 }, score: 0.9 }]);
  });
});

describe('a cut', () => {
  test('ends every track: the same place in the new scene is another person', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    scene.tracker.cut(3);
    scene.update(3, seen(100, 100, 40));
    expect(scene.coversAt(0)).toMatchObject([{ track: 1 }]);
    expect(scene.coversAt(3)).toMatchObject([{ track: 2 }]);
  });
});

test('a crowd past what is followed leaves no one of those followed out', () => {
  const scene = new TrackedScene();
  const crowd = Array.from({ length: 1000 }, (_, i) => seen((i % 40) * 20, Math.floor(i / 40) * 20, 12));
  scene.update(0, ...crowd);
  scene.update(3, ...crowd);
  expect(new Set(scene.coversAt(3).map(({ track }) => track)).size).toBe(1000);
});

test('tracks that ended are forgotten', () => {
  const scene = new TrackedScene({ maxLostFrames: 10 });
  for (let frame = 0; frame < 300; frame += 3) scene.update(frame, seen((frame * 97) % 1900, 100, 20));
  expect(scene.tracker.tracksFrom(300).length).toBeLessThan(10);
});
