import { afterEach, describe, expect, test } from 'vitest';
import { type SceneChange, SceneWatch } from '../../inference/track/scene.ts';
import { makePicture, type Paint, texture } from '../clips/picture.ts';

const [WIDTH, HEIGHT] = [320, 180];
/** Motion is told from a picture of at most 320 pixels across, here pixel for pixel, to a fraction of one. */
const SHIFT_TOLERANCE_PX = 0.75;

const watches: SceneWatch[] = [];
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close();
});

/** What is said of each of these pictures in turn. */
function observe(paints: readonly Paint[], [width, height] = [WIDTH, HEIGHT]): SceneChange[] {
  const watch = new SceneWatch();
  watches.push(watch);
  return paints.map((paint) => {
    const picture = makePicture(width, height, paint);
    const change = watch.observe(picture);
    picture.free();
    return change;
  });
}

const scene = texture(1);
const frames = (count: number, paintOf: (n: number) => Paint) => Array.from({ length: count }, (_, n) => paintOf(n));
const cutsOf = (paints: readonly Paint[]) => observe(paints).flatMap(({ cut }, n) => (cut ? [n] : []));

describe('scene cuts', () => {
  test('the first frame starts a scene, and a cut the next', () => {
    const other = texture(2);
    expect(cutsOf(frames(8, (n) => (n < 5 ? scene : other)))).toEqual([0, 5]);
  });

  test('a cut to the same tones in another order is found', () => {
    expect(cutsOf(frames(6, (n) => (n < 3 ? scene : (x, y) => scene(WIDTH - 1 - x, HEIGHT - 1 - y))))).toEqual([0, 3]);
  });

  test('a cut to black and one out of it are found', () => {
    expect(cutsOf(frames(9, (n) => (n >= 3 && n < 6 ? () => 16 : scene)))).toEqual([0, 3, 6]);
  });

  test.each<[string, (n: number) => Paint]>([
    ['a pan', (n) => (x, y) => scene(x + 3 * n, y)],
    ['a tilt', (n) => (x, y) => scene(x, y + 2 * n)],
    ['a zoom', (n) => (x, y) => scene(160 + (x - 160) / (1 + n / 40), 90 + (y - 90) / (1 + n / 40))],
    ['a flash', (n) => (x, y) => (n === 5 ? Math.min(255, scene(x, y) + 45) : scene(x, y))],
    ['an exposure ramp', (n) => (x, y) => scene(x, y) * (1 - n / 20)],
    ['a person who walks through', (n) => (x, y) => (x > n * 25 && x < n * 25 + 70 && y > 40 ? 235 : scene(x, y))],
  ])('%s is none', (_, paintOf) => {
    expect(cutsOf(frames(10, paintOf))).toEqual([0]);
  });

  test('a picture of another size starts a scene', () => {
    const watch = new SceneWatch();
    watches.push(watch);
    const cuts = [320, 320, 160, 160].map((width) => {
      const picture = makePicture(width, 180, scene);
      const { cut } = watch.observe(picture);
      picture.free();
      return cut;
    });
    expect(cuts).toEqual([true, false, true, false]);
  });
});

describe('camera motion', () => {
  test.each([
    [0, 0],
    [4, 0],
    [-7, 0],
    [0, 5],
    [3, -4],
    [-12, 6],
  ])('a picture that moved by %i, %i is seen to have', (dx, dy) => {
    const [, moved] = observe([scene, (x, y) => scene(x - dx, y - dy)]);
    expect(moved!.cut).toBe(false);
    expect(Math.abs(moved!.dx - dx)).toBeLessThan(SHIFT_TOLERANCE_PX);
    expect(Math.abs(moved!.dy - dy)).toBeLessThan(SHIFT_TOLERANCE_PX);
  });

  test('is told in pixels of the picture, however large it is', () => {
    const [, moved] = observe([scene, (x, y) => scene(x - 16, y)], [1280, 720]);
    // The picture that is looked at is four times smaller.
    expect(Math.abs(moved!.dx - 16)).toBeLessThan(4 * SHIFT_TOLERANCE_PX);
  });

  test('a change of exposure moves nothing', () => {
    const [, brighter] = observe([scene, (x, y) => scene(x, y) + 20]);
    expect(Math.abs(brighter!.dx) + Math.abs(brighter!.dy)).toBeLessThan(SHIFT_TOLERANCE_PX);
  });

  test('a flat picture, and a tiny one, are still', () => {
    expect(observe([() => 100, () => 100])[1]).toEqual({ cut: false, abrupt: false, dx: 0, dy: 0 });
    expect(observe([scene, scene], [64, 48])[1]).toMatchObject({ cut: false, dx: 0, dy: 0 });
  });
});
