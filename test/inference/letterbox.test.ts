import type { Frame } from 'node-av';
import { describe, expect, test } from 'vitest';
import { fitFixed, fitInput, type InputSize, Letterbox } from '../../inference/detect/letterbox.ts';
import type { ModelInput } from '../../models/manifest.ts';
import { makePicture } from '../clips/picture.ts';

/** A box's edge may be blurred over the two input pixels that it lies between, and come back by as much. */
const EDGE_TOLERANCE_INPUT_PX = 2;
/** The most that a picture is squeezed on one side against the other, and some rounding. */
const MAX_SQUEEZE = 1.07;
/** Halfway between the white of the box and the black around it. */
const HALF_WHITE = 128;
const SQUARE = { width: 512, height: 512 };
/** Pixels 0..255 as they are. */
const PLAIN: Pick<ModelInput, 'channels' | 'mean' | 'scale'> = { channels: 'BGR', mean: [0, 0, 0], scale: 1 };

const SIZES: [string, number, number][] = [
  ['16:9', 1280, 720],
  ['4:3', 640, 480],
  ['portrait', 720, 1280],
  ['square', 500, 500],
  ['ultra wide', 2560, 640],
  ['a strip', 1600, 64],
  ['tiny', 64, 48],
];

/** Where a white box of the picture lies in the tensor, brought back to the picture as the detectors do it. */
function throughInput(width: number, height: number, size: InputSize, [x, y, w, h]: [number, number, number, number]) {
  const picture = makePicture(width, height, (px, py) => (px >= x && px < x + w && py >= y && py < y + h ? 235 : 16));
  const letterbox = new Letterbox(picture, size, PLAIN);
  letterbox.fill(picture);
  const { tensor } = letterbox;
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0];
  for (let ty = 0; ty < size.height; ty++) {
    for (let tx = 0; tx < size.width; tx++) {
      if (tensor[ty * size.width + tx]! < HALF_WHITE) continue;
      left = Math.min(left, tx);
      top = Math.min(top, ty);
      right = Math.max(right, tx + 1);
      bottom = Math.max(bottom, ty + 1);
    }
  }
  letterbox.close();
  picture.free();
  const [toX, toY] = [width / size.contentWidth, height / size.contentHeight];
  return { left: left * toX, top: top * toY, right: right * toX, bottom: bottom * toY, toX, toY };
}

describe.each(SIZES)('%s, %i×%i', (_, width, height) => {
  const fits: [string, InputSize][] = [
    ['on a grid of 32', fitInput(width, height, 640, 32)],
    ['in a square of 512', fitFixed(width, height, SQUARE)],
  ];

  test.each(fits)('a box %s comes back to where it is', (_name, size) => {
    const box: [number, number, number, number] = [width * 0.55, height * 0.25, width * 0.25, height * 0.5].map(
      Math.round,
    ) as [number, number, number, number];
    const back = throughInput(width, height, size, box);
    const [x, y, w, h] = box;
    expect(Math.abs(back.left - x)).toBeLessThanOrEqual(EDGE_TOLERANCE_INPUT_PX * back.toX);
    expect(Math.abs(back.right - x - w)).toBeLessThanOrEqual(EDGE_TOLERANCE_INPUT_PX * back.toX);
    expect(Math.abs(back.top - y)).toBeLessThanOrEqual(EDGE_TOLERANCE_INPUT_PX * back.toY);
    expect(Math.abs(back.bottom - y - h)).toBeLessThanOrEqual(EDGE_TOLERANCE_INPUT_PX * back.toY);
  });

  test.each(fits)('%s it keeps its proportions and stays inside the input', (_name, size) => {
    const squeeze = size.contentWidth / width / (size.contentHeight / height);
    // A strip's short side is so few pixels in the input that rounding them is more than any squeeze.
    const rounding = 1 + 0.5 / Math.min(size.contentWidth, size.contentHeight);
    expect(Math.max(squeeze, 1 / squeeze)).toBeLessThanOrEqual(MAX_SQUEEZE * rounding);
    expect(size.contentWidth).toBeLessThanOrEqual(size.width);
    expect(size.contentHeight).toBeLessThanOrEqual(size.height);
  });
});

test('an input on a grid has sides of its multiples, and is not padded where a little squeeze will do', () => {
  expect(fitInput(1280, 720, 640, 32)).toEqual({ width: 640, height: 352, contentWidth: 640, contentHeight: 352 });
  for (const [, width, height] of SIZES) {
    const size = fitInput(width, height, 640, 32);
    expect([size.width % 32, size.height % 32]).toEqual([0, 0]);
  }
});

test('a tiny picture is not enlarged to the size of a large one', () => {
  expect(fitInput(64, 48, 640, 32).contentWidth).toBeLessThanOrEqual(128);
});

test('what is beside the picture is black at every fill', () => {
  const size = fitFixed(320, 180, SQUARE);
  const picture = makePicture(320, 180, () => 235);
  const letterbox = new Letterbox(picture, size, PLAIN);
  letterbox.fill(picture);
  letterbox.fill(picture);
  expect(letterbox.tensor.subarray(size.contentHeight * 512, 512 * 512).every((value) => value === 0)).toBe(true);
  letterbox.close();
  picture.free();
});

test('a picture is brought to the mean and scale that the model wants, and black is beside it', () => {
  const [mean, scale]: [[number, number, number], number] = [[104, 117, 123], 1 / 128];
  const size = fitFixed(64, 32, { width: 64, height: 48 });
  const picture = makePicture(64, 32, () => 235);
  const white = fillOnce(picture, size, { channels: 'BGR', mean, scale });
  const plain = fillOnce(picture, size, PLAIN);
  picture.free();
  const area = 64 * 48;
  for (const [plane, value] of mean.entries()) {
    const at = plane * area;
    expect(white[at + 70]).toBeCloseTo((plain[at + 70]! - value) * scale, 5);
    expect(white[at + 40 * 64]).toBeCloseTo(-value * scale, 5);
  }
  expect(plain[70]).toBeGreaterThan(250);
});

function fillOnce(picture: Frame, size: InputSize, input: typeof PLAIN): Float32Array {
  const letterbox = new Letterbox(picture, size, input);
  letterbox.fill(picture);
  letterbox.fill(picture);
  letterbox.close();
  return letterbox.tensor;
}
