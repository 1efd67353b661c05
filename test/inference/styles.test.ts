import { describe, expect, test } from 'vitest';
import { coverPlane } from '../../inference/blur/cover-plane.ts';
import type { Plane } from '../../inference/blur/plane.ts';
import { faceRegion, type Region, wholeRegion } from '../../inference/blur/region.ts';
import { BLUR_STYLES, type BlurStyle } from '../../inference/policy.ts';
import { texture } from '../clips/picture.ts';

const SIDE = 400;
const CENTRE = SIDE / 2;
/** How far past the mask its cover fades out at most, as a part of the mask's radius. */
const FEATHER = 0.1;
/** A blur as wide as a tenth of the face leaves no step between neighbours larger than this, whatever was there. */
const SMOOTH_STEP = 3;
/** Noise that a camera adds and that averages out may still move a rounded value by a step or two. */
const STEADY = 4;

type Paint = (x: number, y: number) => number;

function plane(paint: Paint, width = SIDE, height = SIDE): Plane {
  const data = Uint8Array.from({ length: width * height }, (_, i) => paint(i % width, Math.floor(i / width)));
  return { data, stride: width, width, height };
}

function covered(paint: Paint, region: Region, scale = 1, width = SIDE, height = SIDE): Plane {
  const picture = plane(paint, width, height);
  coverPlane(picture, region, scale);
  return picture;
}

const at = ({ data, stride }: Plane, x: number, y: number) => data[y * stride + x]!;
const face = (side: number, centre = CENTRE) => ({ x: centre - side / 2, y: centre - side / 2, w: side, h: side });
const region = (style: BlurStyle, side: number, { strength = 0.5, margin = 0.3, centre = CENTRE } = {}) =>
  faceRegion(face(side, centre), { style, strength, margin });

/** The pixels of a square picture for which something holds; the first few are enough to tell. */
function where(holds: (x: number, y: number, away: number) => boolean): string[] {
  const found: string[] = [];
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      if (holds(x, y, Math.hypot(x + 0.5 - CENTRE, y + 0.5 - CENTRE))) found.push(`${x},${y}`);
    }
  }
  return found.slice(0, 5);
}

/** Black and white by turns: a pixel that is either is one of the source. */
const checkers: Paint = (x, y) => ((x + y) % 2) * 255;
const detail = texture(3);

describe.each(BLUR_STYLES)('%s', (style) => {
  test.each([8, 20, 47, 100, 255])('leaves nothing of the source under the mask of a face of %i px', (side) => {
    for (const strength of [0, 0.5, 1]) {
      const after = covered(checkers, region(style, side, { strength }));
      const radius = (side / 2) * 1.3;
      const isSource = (x: number, y: number) => at(after, x, y) === 0 || at(after, x, y) === 255;
      expect(where((x, y, away) => away < radius && isSource(x, y))).toEqual([]);
    }
  });

  test.each([
    ['luma', 1, 96],
    ['chroma', 0.5, 128],
  ])('fades out of %s past the mask, and touches nothing beyond', (_, scale, mean) => {
    // Columns so much above and below what every style makes of them: what is left of that is how far it has faded.
    const depth = 56;
    const source: Paint = (x) => mean + (x % 2 === 0 ? depth : -depth);
    const [centre, radius] = [CENTRE * scale, 120 * 1.3 * scale];
    const after = covered(source, region(style, 240), scale, SIDE * scale, SIDE * scale);
    const drawnAt = (x: number) => Math.abs(at(after, x, centre) - source(x, centre));
    const from = Math.round(centre + radius);
    const line = Array.from({ length: Math.round(radius * FEATHER) }, (__, i) => drawnAt(from + i));
    for (const parity of [0, 1]) {
      const columns = line.filter((__, i) => i % 2 === parity);
      expect(columns).toEqual(columns.toSorted((a, b) => b - a));
      expect(columns.filter((value) => value > 2 && value < depth - 10).length).toBeGreaterThanOrEqual(1);
    }
    expect(drawnAt(from - 2)).toBeGreaterThan(depth - 20);
    expect(drawnAt(Math.ceil(centre + radius * (1 + FEATHER)))).toBe(0);
  });

  test.each([
    ['left', -20, 200],
    ['top', 200, -20],
    ['corner', 395, 395],
  ])('a face partly off the %s is covered where it shows', (_, x, y) => {
    const box = { x: x - 50, y: y - 50, w: 100, h: 100 };
    const after = covered(checkers, faceRegion(box, { style, strength: 0, margin: 0 }));
    const [shownX, shownY] = [Math.min(399, Math.max(0, x)), Math.min(399, Math.max(0, y))];
    expect([0, 255]).not.toContain(at(after, shownX, shownY));
    expect(after.data).toHaveLength(SIDE * SIDE);
  });

  test('a face wholly off the picture touches nothing', () => {
    const before = plane(detail);
    for (const [x, y] of [
      [-200, 200],
      [-1e7, 1e7],
      [200, 900],
    ] as const) {
      const box = { x, y, w: 100, h: 100 };
      expect(covered(detail, faceRegion(box, { style, strength: 0, margin: 1 })).data).toEqual(before.data);
    }
  });

  test('a face that moves by whole pixels takes its cover with it', () => {
    const coverAt = (offset: number) => {
      const after = covered((x, y) => detail(x - offset, y - offset), region(style, 100, { centre: CENTRE + offset }));
      return Array.from({ length: 100 * 100 }, (_, i) =>
        at(after, 150 + offset + (i % 100), 150 + offset + Math.floor(i / 100)),
      );
    };
    expect(coverAt(7)).toEqual(coverAt(0));
  });

  test('a face in a picture of one tone is covered in that tone’s neighbourhood, or in the one grey', () => {
    const after = covered(() => 143, region(style, 120));
    const tones = new Set(Array.from({ length: 100 }, (_, i) => at(after, 150 + i, CENTRE)));
    expect(tones.size).toBe(1);
    if (style !== 'solid') expect(Math.abs([...tones][0]! - 143)).toBeLessThanOrEqual(8);
  });

  test('what covers a whole picture is the same', () => {
    const whole = covered(detail, wholeRegion(SIDE, SIDE));
    expect(where((x, y) => at(whole, x, y) === detail(x, y) && at(whole, x, y) % 16 !== 0)).toEqual([]);
  });
});

describe('solid', () => {
  test('is one grey under every face, at any strength, in every frame', () => {
    const tones = new Set<number>();
    for (const strength of [0, 0.5, 1]) {
      for (const seed of [1, 2]) {
        const after = covered(texture(seed), region('solid', 150, { strength }));
        where((x, y, away) => away < 97 && tones.add(at(after, x, y)).size < 0);
      }
    }
    expect(tones.size).toBe(1);
  });

  test('has no colour', () => {
    const after = covered(detail, region('solid', 160), 0.5, 200, 200);
    expect(at(after, 100, 100)).toBe(128);
  });
});

describe('gaussian', () => {
  test.each([60, 120, 255])('of a face of %i px has no edge in it', (side) => {
    const after = covered(detail, region('gaussian', side, { strength: 0, margin: 0 }));
    const radius = side / 2 - 2;
    const step = (x: number, y: number) => Math.abs(at(after, x, y) - at(after, x + 1, y));
    expect(where((x, y, away) => away < radius - 1 && step(x, y) > SMOOTH_STEP)).toEqual([]);
  });

  test('is wider the larger the face and the stronger the blur', () => {
    const spread = (side: number, strength: number) => {
      // A line of light: what the blur makes of it is the kernel.
      const after = covered(
        (x) => (Math.abs(x - CENTRE) < side / 20 ? 255 : 0),
        region('gaussian', side, { strength }),
      );
      const peak = at(after, CENTRE, CENTRE);
      const floor = at(after, CENTRE - Math.round(side * 0.6), CENTRE);
      let width = 0;
      for (let x = CENTRE; at(after, x, CENTRE) > (peak + floor) / 2; x++) width++;
      return width;
    };
    expect(spread(200, 0)).toBeGreaterThan(1.6 * spread(100, 0));
    expect(spread(200, 1)).toBeGreaterThan(1.5 * spread(200, 0));
  });

  test('does not flicker with a camera’s noise', () => {
    const shots = [11, 12].map((seed) => {
      const noise = texture(seed);
      return covered((x, y) => 0.9 * detail(x, y) + 0.05 * noise(x, y), region('gaussian', 150));
    });
    const [a, b] = [shots[0]!, shots[1]!];
    expect(where((x, y, away) => away < 97 && Math.abs(at(a, x, y) - at(b, x, y)) > STEADY)).toEqual([]);
  });
});
