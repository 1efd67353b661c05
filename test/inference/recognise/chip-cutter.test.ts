import {
  AV_PIX_FMT_RGB24,
  AV_PIX_FMT_YUVJ420P,
  AVCOL_RANGE_JPEG,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  FFmpegError,
  Frame,
} from 'node-av';
import { expect, test } from 'vitest';
import { ChipCutter } from '../../../inference/recognise/chip-cutter.ts';
import { cropSquare } from '../../../inference/recognise/crop.ts';
import { apply, type SimilarityTransform } from '../../../inference/recognise/similarity-transform.ts';
import { i420Picture, type Yuv } from './i420-picture.ts';

const SIDE = 32;
/** A chip holds whole numbers, and so does the picture that it is cut from. */
const ROUNDING = 1;

function cut(picture: Frame, toPicture: SimilarityTransform, side = SIDE) {
  try {
    const { rgb, luma } = new ChipCutter(side, side).cut(picture, toPicture);
    const pixel = (x: number, y: number) => [...rgb.subarray((y * side + x) * 3, (y * side + x) * 3 + 3)];
    return { luma, pixel };
  } finally {
    picture.free();
  }
}

/** Full range, no colour. */
const grey = (value: number): Yuv => [value, 128, 128];
const full = (width: number, height: number, at: (x: number, y: number) => Yuv) =>
  i420Picture(width, height, at, AV_PIX_FMT_YUVJ420P);

test.each([
  ['as it lies', { a: 1, b: 0, tx: 20, ty: 30 }],
  ['between pixels', { a: 1, b: 0, tx: 20.5, ty: 30.25 }],
  ['enlarged', { a: 0.4, b: 0, tx: 40, ty: 10 }],
  ['made smaller', { a: 1.8, b: 0, tx: 12, ty: 15 }],
  ['made much smaller', { a: 3.3, b: 0, tx: 4, ty: 6 }],
  ['turned', { a: 1.2, b: 0.9, tx: 60, ty: 10 }],
  ['turned on its head', { a: -1, b: 0, tx: 90, ty: 90 }],
])('a face is cut out %s', (_, toPicture) => {
  // A slope that rises by 1.2 across and 0.8 down is the same slope however it is sampled.
  const [across, down] = [1.2, 0.8];
  const { luma } = cut(
    full(128, 128, (x, y) => grey(Math.min(255, Math.round(across * x + down * y)))),
    toPicture,
  );
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [u, v] = apply(toPicture, [x, y]);
      const expected = across * u + down * v;
      // Near the edges and in saturation the slope is none.
      if (u < 4 || v < 4 || u > 122 || v > 122 || expected > 248) continue;
      expect(Math.abs(luma[y * SIDE + x]! - expected), `at ${x}, ${y}`).toBeLessThanOrEqual(ROUNDING + 0.5);
    }
  }
});

test.each([2, 3, 4, 7, 16])(
  'detail too fine for a chip %d times as small turns grey, not into other detail',
  (scale) => {
    const side = 16;
    const checkers = full(scale * 20, scale * 20, (x, y) => grey((x + y) % 2 === 0 ? 0 : 255));
    const { luma } = cut(checkers, { a: scale, b: 0, tx: scale * 2, ty: scale * 2 }, side);
    const middle = [...luma].filter((_, i) => i % side > 1 && i % side < side - 2);
    // An odd number of squares has one more of one kind; of 9 pixels it is a ninth.
    const most = scale % 2 === 0 ? 2 : 255 / scale ** 2 / 2 + 2;
    for (const value of middle) expect(Math.abs(value - 127.5)).toBeLessThanOrEqual(most);
  },
);

test('where the picture ends the chip is black, and only there', () => {
  const { luma, pixel } = cut(
    full(40, 40, () => grey(200)),
    { a: 1, b: 0, tx: -10, ty: 20 },
  );
  expect(pixel(9, 5)).toEqual([0, 0, 0]);
  expect(pixel(10, 5)).toEqual([200, 200, 200]);
  expect(pixel(20, 19)).toEqual([200, 200, 200]);
  expect(pixel(20, 20)).toEqual([0, 0, 0]);
  expect(luma.filter((value) => value === 0)).toHaveLength(SIDE * SIDE - 22 * 20);
});

test.each([
  ['far off the picture', { a: 1, b: 0, tx: 5000, ty: -5000 }],
  ['far off and far larger', { a: 1000, b: 0, tx: -1e6, ty: -1e6 }],
  ['of no number', { a: Number.NaN, b: 0, tx: 0, ty: 0 }],
])('a face %s is black, and harms nothing', (_, toPicture) => {
  const { luma } = cut(
    full(64, 48, () => grey(200)),
    toPicture,
  );
  expect(Math.max(...luma)).toBe(0);
});

test('a picture that is less than a pixel of its chip is one pixel of it', () => {
  const { luma, pixel } = cut(
    full(64, 48, () => grey(200)),
    { a: 1000, b: 0, tx: -16_000, ty: -16_000 },
  );
  expect(pixel(16, 16)).toEqual([200, 200, 200]);
  expect(luma.filter((value) => value > 0)).toHaveLength(1);
});

test.each([
  ['BT.601 of limited range', {}, [81, 90, 240]],
  ['BT.601 of full range', { colorRange: AVCOL_RANGE_JPEG }, [76, 85, 255]],
  ['BT.709 of limited range', { colorSpace: AVCOL_SPC_BT709, colorRange: AVCOL_RANGE_MPEG }, [63, 102, 240]],
  ['BT.709 of full range', { colorSpace: AVCOL_SPC_BT709, colorRange: AVCOL_RANGE_JPEG }, [54, 99, 255]],
] as const)('red of %s is red', (_, tags, yuv) => {
  const picture = i420Picture(64, 64, () => yuv);
  Object.assign(picture, tags);
  const [red, green, blue] = cut(picture, { a: 1, b: 0, tx: 4, ty: 4 }).pixel(8, 8);
  expect(red).toBeGreaterThanOrEqual(253);
  expect(green).toBeLessThanOrEqual(3);
  expect(blue).toBeLessThanOrEqual(3);
});

test('colour lies where brightness lies', () => {
  const picture = full(64, 64, (x) => (x < 32 ? [76, 85, 255] : [29, 255, 107]));
  const { pixel } = cut(picture, { a: 1, b: 0, tx: 16, ty: 16 });
  expect(pixel(12, 10)).toEqual([254, 0, 0]);
  expect(pixel(19, 10)[2]).toBeGreaterThanOrEqual(250);
});

test('a square crop shows what its box says', () => {
  const box = { x: 40, y: 30, w: 20, h: 30 };
  const picture = full(128, 128, (x, y) => grey(x >= 40 && x < 60 && y >= 30 && y < 60 ? 255 : 0));
  const { luma } = cut(picture, cropSquare(box, 1, 30), 30);
  const row = [...luma.subarray(15 * 30, 16 * 30)];
  expect(row).toEqual([...Array(5).fill(0), ...Array(20).fill(255), ...Array(5).fill(0)]);
});

test('a picture of another pixel format is refused by number, not read as if it were one', () => {
  const picture = new Frame();
  picture.alloc();
  Object.assign(picture, { width: 64, height: 64, format: AV_PIX_FMT_RGB24 });
  FFmpegError.throwIfError(picture.getBuffer(), 'allocate a picture');
  const refused = { code: 'run-failed', message: expect.stringContaining(`pixel format ${AV_PIX_FMT_RGB24}`) };
  expect(() => cut(picture, { a: 1, b: 0, tx: 0, ty: 0 })).toThrow(expect.objectContaining(refused));
});
