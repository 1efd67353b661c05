import { describe, expect, test } from 'vitest';
import { CameraPath } from '../../inference/track/camera-path.ts';
import { coversAt } from '../../inference/track/coverage.ts';
import { Track } from '../../inference/track/track.ts';
import { Tracker } from '../../inference/track/tracker.ts';
import { contains, holds, PICTURE_SIDE, seen, TRACKER, TrackedScene, WINDOW_FRAMES } from './synthetic-tracks.ts';

describe('a face out of sight', () => {
  test('stays covered where it should be, on a growing box, for as long as it may be lost and no longer', () => {
    const scene = new TrackedScene();
    for (let frame = 0; frame <= 12; frame += 3) scene.update(frame, seen(100 + 2 * frame, 100, 40));
    for (let frame = 15; frame <= 60; frame += 3) scene.update(frame);
    let width = 0;
    for (let frame = 12; frame <= 12 + TRACKER.maxLostFrames; frame++) {
      const [cover] = scene.coversAt(frame);
      expect(cover!.box.w).toBeGreaterThanOrEqual(width);
      width = cover!.box.w;
      // It is still where its speed carries it, for half a second; then it is most likely near there.
      if (frame <= 27) expect(holds(cover!.box, 120 + 2 * frame, 120)).toBe(true);
    }
    expect(width).toBeGreaterThan(40 * 1.5);
    expect(scene.coversAt(13 + TRACKER.maxLostFrames)).toEqual([]);
  });

  test('that left through the edge is followed past it, so that its last part is covered', () => {
    const scene = new TrackedScene();
    // The picture ends at 0: the face goes out to the left at 4 px a frame.
    for (let frame = 0; frame <= 12; frame += 3) scene.update(frame, seen(40 - 4 * frame, 100, 40));
    scene.update(15);
    scene.update(18);
    const [at16] = scene.coversAt(16);
    expect(at16!.box.x).toBeLessThan(40 - 4 * 12);
    expect(at16!.box.x + at16!.box.w).toBeGreaterThan(40 - 4 * 16 + 40);
  });
});

describe('a face found late', () => {
  /** What is covered of a face that was first found at `frame`. */
  const foundAt = (frame: number, sceneStart: number) => {
    const track = new Track(1, frame, sceneStart, seen(100, 100, 40), TRACKER.belief, PICTURE_SIDE);
    // Seen often: nothing but the window bounds how far back it is covered.
    for (let more = 1; more <= 30; more++) track.see(frame + more, seen(100, 100, 40));
    const limits = { afterFrames: TRACKER.maxLostFrames, beforeFrames: WINDOW_FRAMES };
    return (at: number) => coversAt(track, at, new CameraPath(), limits);
  };

  test('is covered backwards by the window at most', () => {
    const covers = foundAt(100, 0);
    expect(covers(100 - WINDOW_FRAMES)).toHaveLength(1);
    expect(covers(99 - WINDOW_FRAMES)).toEqual([]);
    for (let frame = 100 - WINDOW_FRAMES; frame <= 100; frame++) {
      expect(contains(covers(frame)[0]!.box, seen(100, 100, 40))).toBe(true);
    }
  });

  test('is never covered across the cut before it', () => {
    const covers = foundAt(100, 90);
    expect(covers(90)).toHaveLength(1);
    expect(covers(89)).toEqual([]);
  });

  test('is covered backwards even when it was seen once only', () => {
    const track = new Track(1, 100, 0, seen(100, 100, 40), TRACKER.belief, PICTURE_SIDE);
    const covers = coversAt(track, 97, new CameraPath(), { afterFrames: 30, beforeFrames: WINDOW_FRAMES });
    expect(contains(covers[0]!.box, seen(100, 100, 40))).toBe(true);
  });

  test('is never covered across the cut after it', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    scene.tracker.cut(4);
    scene.update(4);
    expect(scene.coversAt(3)).toHaveLength(1);
    expect(scene.coversAt(4)).toEqual([]);
  });
});

describe('between two detections', () => {
  test('a face that moves evenly is covered with room to spare, widest in the middle', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    scene.update(6, seen(112, 100, 40));
    const widths: number[] = [];
    for (let frame = 1; frame < 6; frame++) {
      const [cover] = scene.coversAt(frame);
      expect(contains(cover!.box, seen(100 + 2 * frame, 100, 40))).toBe(true);
      expect(cover!.score).toBeNull();
      widths.push(cover!.box.w);
    }
    expect(Math.max(...widths)).toBe(widths[2]);
    expect(widths[0]).toBeGreaterThan(40);
  });

  test('a face that may have moved early or late is covered at both ends as well', () => {
    const scene = new TrackedScene();
    scene.update(0, seen(100, 100, 40));
    scene.update(6, seen(130, 100, 40));
    const covers = scene.coversAt(3).map(({ box }) => box);
    for (const x of [100, 115, 130]) expect(covers.some((box) => contains(box, seen(x, 100, 40)))).toBe(true);
  });

  test('the camera’s own motion is followed: a face that stands in the world is covered through a pan', () => {
    const camera = new CameraPath();
    const tracker = new Tracker(TRACKER, camera);
    const at = (frame: number) => seen(200 + 20 * frame, 100, 30);
    for (let frame = 0; frame <= 6; frame++) {
      camera.add(frame, frame === 0 ? 0 : 20, 0);
      if (frame % 3 === 0) tracker.update(frame, [at(frame)], PICTURE_SIDE);
    }
    const limits = { afterFrames: 30, beforeFrames: 60 };
    for (let frame = 0; frame <= 6; frame++) {
      const [track, ...others] = tracker.tracksFrom(frame);
      expect(others).toEqual([]);
      expect(coversAt(track!, frame, camera, limits).some(({ box }) => contains(box, at(frame)))).toBe(true);
    }
  });
});

test('the box of a frame in which the detector saw the face is the detector’s own', () => {
  const scene = new TrackedScene();
  scene.update(0, seen(100, 100, 40, 0.77));
  expect(scene.coversAt(0)).toEqual([{ track: 1, box: { x: 100, y: 100, w: 40, h: 40 }, score: 0.77 }]);
});
