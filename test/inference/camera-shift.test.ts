import { describe, expect, test } from 'vitest';
import { shiftBetween } from '../../inference/track/camera-shift.ts';
import { seededRandom } from '../clips/picture.ts';

/** The profile is known at whole entries; between them the estimate is linear. */
const TOLERANCE = 0.3;

/** A profile of a picture with some detail, moved by `shift` entries. */
function profile(shift: number, gain = 1): Float32Array {
  return Float32Array.from({ length: 320 }, (_, i) => {
    const x = i - shift;
    return gain * (30 * Math.sin(x / 9) + 20 * Math.sin(x / 23 + 1) + 12 * Math.sin(x / 3.1));
  });
}

describe('camera shift', () => {
  test.each([0, 1, -1, 2.5, -7, 13.4, 30, -30])('%f entries are found', (shift) => {
    expect(Math.abs(shiftBetween(profile(0), profile(shift)) - shift)).toBeLessThan(TOLERANCE);
  });

  test.each([5, -8, 12])('what passes before the camera does not hide that the picture moved by %i', (shift) => {
    const passing = (at: number, values: Float32Array) =>
      values.map((value, i) => ((i + 106 - at) % 106 < 32 ? -60 : value));
    const moved = shiftBetween(passing(10, profile(0, 0.2)), passing(14, profile(shift, 0.2)));
    expect(Math.abs(moved - shift)).toBeLessThan(TOLERANCE);
  });

  test('a motion past its reach is not guessed', () => {
    const beyond = shiftBetween(profile(0), profile(120));
    expect(Math.abs(beyond)).toBeLessThan(320 * 0.12);
  });

  test('noise alone is no motion', () => {
    const random = seededRandom(7);
    const noise = () => (random() - 0.5) * 0.4;
    const still = profile(0);
    expect(
      Math.abs(
        shiftBetween(
          still,
          still.map((value) => value + noise()),
        ),
      ),
    ).toBeLessThan(TOLERANCE);
  });

  test('profiles that do not match, or are too short, say nothing', () => {
    expect(shiftBetween(new Float32Array(320), new Float32Array(240))).toBe(0);
    expect(shiftBetween(new Float32Array(8), new Float32Array(8).fill(9))).toBe(0);
    expect(shiftBetween(new Float32Array(320), new Float32Array(320))).toBe(0);
  });
});
