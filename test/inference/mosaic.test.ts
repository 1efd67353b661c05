import { describe, expect, test } from 'vitest';
import { coverPlane } from '../../inference/blur/cover-plane.ts';
import type { Plane } from '../../inference/blur/plane.ts';
import { faceRegion as maskedFace, type Region, wholeRegion } from '../../inference/blur/region.ts';
import type { Box } from '../../inference/track/box.ts';
import { texture } from '../clips/picture.ts';

/** From 16 cells across on, a face can be recognised again; this is what the engine promises to stay below. */
const MAX_CELLS = 8;
/** A cell's edges are rounded to pixels, so that one may come out this much smaller than its neighbours. */
const CELL_ROUNDING_PX = 1;
/** Values a cell can take: multiples of this, and white. */
const QUANTUM = 16;
const UNTOUCHED = 7;

/** How far past the mask its cover fades out at most, as a part of the mask's radius. */
const FEATHER = 0.1;

const SIDE = 400;
const faceRegion = (box: Box, strength: number, margin: number) =>
  maskedFace(box, { style: 'mosaic', strength, margin });
const paint = texture(3);
/** Detail whose values are odd: a cell's are even (or 255), so that what was drawn can be told. */
const DETAIL = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => paint(i % SIDE, Math.floor(i / SIDE)) | 1);

function plane(width: number, height: number, stride = width): Plane {
  const data = new Uint8Array(stride * height).fill(UNTOUCHED);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * stride + x] = DETAIL[(y % SIDE) * SIDE + (x % SIDE)]!;
  }
  return { data, stride, width, height };
}

/** A picture of detail after a region was drawn on it. */
function drawn(region: Region, width = SIDE, height = SIDE, scale = 1) {
  const before = plane(width, height);
  const after = plane(width, height);
  coverPlane(after, region, scale);
  const touched = (x: number, y: number) => after.data[y * width + x] !== before.data[y * width + x];
  /** Of the middle of a pixel from where the test faces are. */
  const away = (x: number, y: number) => Math.hypot(x + 0.5 - 200, y + 0.5 - 200);
  return { before, after, touched, away };
}

/** The pixels of a picture for which something holds, as text; the first few are enough to tell. */
function where(width: number, height: number, holds: (x: number, y: number) => boolean): string[] {
  const found: string[] = [];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (holds(x, y)) found.push(`${x},${y}`);
  return found.slice(0, 5);
}

/** Lengths of the runs of one value in a row, from one pixel to another. */
function runs({ data, stride }: Plane, y: number, from: number, to: number): number[] {
  const lengths: number[] = [];
  for (let x = from; x < to; x++) {
    if (x > from && data[y * stride + x] === data[y * stride + x - 1]) lengths[lengths.length - 1]!++;
    else lengths.push(1);
  }
  return lengths;
}

const face = (side: number, centre = 200) => ({ x: centre - side / 2, y: centre - side / 2, w: side, h: side });

describe('a face', () => {
  test.each([8, 16, 20, 33, 47, 64, 100, 181, 255, 300])(
    'of %i px shows 8 cells across at most, at any strength',
    (side) => {
      for (const strength of [0, 0.25, 0.5, 1]) {
        const { after } = drawn(faceRegion(face(side), strength, 0.3));
        const row = runs(after, 200, Math.ceil(200 - side / 2), Math.floor(200 + side / 2));
        // The cells hang on the face's centre: the two at its edges are halves of cells. Those between are whole.
        const whole = row.slice(1, -1);
        expect(whole.length).toBeLessThan(MAX_CELLS);
        const smallest = Math.floor(side / MAX_CELLS) - CELL_ROUNDING_PX;
        for (const length of whole) expect(length).toBeGreaterThanOrEqual(smallest);
      }
    },
  );

  test('that is higher than wide has cells as large as one so wide', () => {
    const high = faceRegion({ x: 100, y: 100, w: 100, h: 200 }, 0, 0);
    expect(high.look).toEqual(faceRegion(face(200), 0, 0).look);
  });

  test('shows fewer cells the stronger the blur', () => {
    const cells = [0, 0.25, 0.5, 0.75, 1].map((strength) => {
      // From black to white across the face: no two cells have the same mean.
      const ramp = plane(SIDE, SIDE);
      for (let i = 0; i < ramp.data.length; i++) ramp.data[i] = Math.min(255, Math.max(0, ((i % SIDE) - 100) * 1.28));
      coverPlane(ramp, faceRegion(face(200), strength, 0), 1);
      return runs(ramp, 200, 101, 299).length;
    });
    expect(cells).toEqual(cells.toSorted((a, b) => b - a));
    expect(cells.at(-1)).toBeLessThan(cells[0]!);
  });

  test('is painted in few tones', () => {
    const { after, away } = drawn(faceRegion(face(200), 0, 0.3));
    const tone = (x: number, y: number) => after.data[y * SIDE + x]!;
    const isQuantised = (value: number) => value % QUANTUM === 0 || value === 255;
    expect(where(SIDE, SIDE, (x, y) => away(x, y) < 130 && !isQuantised(tone(x, y)))).toEqual([]);
  });

  test('is covered to the last pixel of an ellipse that reaches past it by the margin, and little more is touched', () => {
    const margin = 0.3;
    const { touched, away } = drawn(faceRegion(face(120), 0.5, margin));
    const radius = 60 * (1 + margin);
    expect(where(SIDE, SIDE, (x, y) => away(x, y) < radius && !touched(x, y))).toEqual([]);
    expect(where(SIDE, SIDE, (x, y) => away(x, y) > radius * (1 + FEATHER) && touched(x, y))).toEqual([]);
  });

  test('that moves by whole pixels takes its cells with it: nothing more is given away over time', () => {
    const faceAt = (offset: number) => {
      const target = plane(SIDE, SIDE);
      for (let y = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++) target.data[y * SIDE + x] = paint(x - offset, y - offset);
      }
      coverPlane(target, faceRegion(face(100, 200 + offset), 0.5, 0.3), 1);
      return Array.from({ length: 100 * 100 }, (_, i) => {
        const [x, y] = [150 + offset + (i % 100), 150 + offset + Math.floor(i / 100)];
        return target.data[y * SIDE + x];
      });
    };
    expect(faceAt(7)).toEqual(faceAt(0));
  });
});

describe('at the picture’s edge', () => {
  test.each([
    ['left', -20, 200],
    ['right', 410, 200],
    ['top', 200, -20],
    ['bottom', 200, 410],
    ['corner', 395, 395],
  ])('a face partly off the %s is covered where it shows', (_, x, y) => {
    const { touched, after } = drawn(faceRegion({ x: x - 50, y: y - 50, w: 100, h: 100 }, 0.5, 0.3));
    const [shownX, shownY] = [Math.min(399, Math.max(0, x)), Math.min(399, Math.max(0, y))];
    expect(touched(shownX, shownY)).toBe(true);
    expect(after.data).toHaveLength(400 * 400);
  });

  test.each([
    ['left', -200, 200],
    ['right', 700, 200],
    ['below', 200, 900],
    ['far away', -1e7, 1e7],
  ])('a face wholly off to the %s touches nothing', (_, x, y) => {
    const { before, after } = drawn(faceRegion({ x, y, w: 100, h: 100 }, 0.5, 0.3));
    expect(after.data).toEqual(before.data);
  });

  test('the padding of rows is not written to', () => {
    const padded = plane(100, 100, 128);
    coverPlane(padded, faceRegion({ x: 60, y: 20, w: 90, h: 90 }, 0.5, 1), 1);
    for (let y = 0; y < 100; y++) {
      expect(padded.data.subarray(y * 128 + 100, y * 128 + 128).every((value) => value === UNTOUCHED)).toBe(true);
    }
  });
});

describe('a whole cover', () => {
  test.each([
    [400, 400],
    [64, 48],
    [1600, 64],
    [2, 2],
  ])('leaves no pixel of %i×%i as it was, and three cells across', (width, height) => {
    for (const [scale, w, h] of [
      [1, width, height],
      [0.5, Math.ceil(width / 2), Math.ceil(height / 2)],
    ] as const) {
      const { touched, after } = drawn(wholeRegion(width, height), w, h, scale);
      expect(where(w, h, (x, y) => !touched(x, y))).toEqual([]);
      // A cell straddles the centre: two whole ones and two halves at most.
      expect(runs(after, h >> 1, 0, w).length).toBeLessThanOrEqual(4);
    }
  });
});

test('chroma is covered at half size as luma is', () => {
  const { touched } = drawn(faceRegion(face(160), 0.5, 0.3), 200, 200, 0.5);
  expect(touched(100, 100)).toBe(true);
  expect(touched(100 - 50, 100)).toBe(true);
  expect(touched(100 - 59, 100)).toBe(false);
});
