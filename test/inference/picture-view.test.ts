import type { Frame } from 'node-av';
import { afterEach, expect, test } from 'vitest';
import { PictureView, type ViewOptions } from '../../inference/detect/picture-view.ts';
import { squareTiles } from '../../inference/detect/tiles.ts';
import { makePicture } from '../clips/picture.ts';

const [WIDTH, HEIGHT] = [64, 48] as const;
/** One bright patch on black. */
const PATCH = { x: 40, y: 8, w: 12, h: 6 } as const;
/** Scaling and YUV's coarser chroma blur a patch's edges. */
const EDGE_PX = 1.5;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function patched(): Frame {
  const inside = (x: number, y: number) =>
    x >= PATCH.x && x < PATCH.x + PATCH.w && y >= PATCH.y && y < PATCH.y + PATCH.h;
  const picture = makePicture(WIDTH, HEIGHT, (x, y) => (inside(x, y) ? 235 : 16));
  open.push({ close: () => picture.free() });
  return picture;
}

/** Draws the patch and finds where it is in the view. */
function patchIn(options: ViewOptions) {
  const picture = patched();
  const view = new PictureView(picture, options);
  open.push(view);
  view.draw(picture);
  const { width, height, linesize } = view.frame;
  const data = view.frame.data![0]!;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * linesize[0]! + x]! < 150) continue;
      [left, top, right, bottom] = [
        Math.min(left, x),
        Math.min(top, y),
        Math.max(right, x + 1),
        Math.max(bottom, y + 1),
      ];
    }
  }
  return { view, found: { x: left, y: top, w: right - left, h: bottom - top, score: 0.5 } };
}

const whole = { x: 0, y: 0, w: WIDTH, h: HEIGHT };

test.each<[string, ViewOptions]>([
  ['as it is', { scale: 1, window: whole, turns: 0 }],
  ['turned to the right', { scale: 1, window: whole, turns: 1 }],
  ['upside down', { scale: 1, window: whole, turns: 2 }],
  ['turned to the left', { scale: 1, window: whole, turns: 3 }],
  ['a part of it', { scale: 1, window: { x: 32, y: 0, w: 32, h: 32 }, turns: 0 }],
  ['a part of it, turned', { scale: 1, window: { x: 32, y: 4, w: 32, h: 20 }, turns: 3 }],
  ['with a border', { scale: 1, window: { x: -8, y: -16, w: WIDTH + 16, h: HEIGHT + 32 }, turns: 1 }],
  ['smaller', { scale: 0.5, window: { x: 0, y: 0, w: WIDTH / 2, h: HEIGHT / 2 }, turns: 1 }],
])('what is seen in a view %s is where it is in the picture', (_, options) => {
  const { view, found } = patchIn(options);
  const turned = options.turns % 2 === 1;
  expect([view.frame.width, view.frame.height]).toEqual(
    turned ? [options.window.h, options.window.w] : [options.window.w, options.window.h],
  );
  const box = view.toPicture(found);
  for (const side of ['x', 'y', 'w', 'h'] as const) {
    expect(Math.abs(box[side] - PATCH[side])).toBeLessThanOrEqual(EDGE_PX / options.scale);
  }
});

test('landmarks are turned with their face', () => {
  const { view } = patchIn({ scale: 1, window: whole, turns: 1 });
  const points = [
    [10, 20],
    [30, 20],
    [20, 30],
    [12, 40],
    [28, 40],
  ] as const;
  const { landmarks } = view.toPicture({ x: 0, y: 0, w: 40, h: 50, score: 1, landmarks: points });
  // Clockwise: down in the view is to the right in the picture, and right in the view is up.
  expect(landmarks).toEqual(points.map(([x, y]) => [y, HEIGHT - x]));
});

test.each([
  [1280, 720],
  [1920, 1080],
  [720, 1280],
  [2400, 720],
])('tiles of %i×%i cover it all, overlap, and are few', (width, height) => {
  const tiles = squareTiles(width, height);
  const side = Math.min(width, height);
  expect(tiles.length).toBeGreaterThan(1);
  expect(tiles.length).toBeLessThanOrEqual(4);
  const starts = tiles.map(({ x, y }) => Math.max(x, y));
  expect(starts[0]).toBe(0);
  expect(starts.at(-1)).toBe(Math.max(width, height) - side);
  for (const [i, start] of starts.entries()) if (i > 0) expect(start - starts[i - 1]!).toBeLessThanOrEqual(0.8 * side);
});

test('a picture that is nearly square is no larger in tiles', () => {
  expect(squareTiles(640, 600)).toEqual([]);
  expect(squareTiles(512, 512)).toEqual([]);
});
