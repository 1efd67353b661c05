import { describe, expect, test } from 'vitest';
import { coveredArea } from '../../bench/covered-area.ts';
import { SizeTally, type TrueFace } from '../../bench/detect-tally.ts';

const face = (x: number, side: number, isIgnored = false): TrueFace => ({ x, y: 0, w: side, h: side, isIgnored });
const seen = (x: number, side: number, score = 0.9) => ({ x, y: 0, w: side, h: side, score });

describe('recall and precision', () => {
  test('count by the size of the face, or of what is none', () => {
    const tally = new SizeTally();
    tally.add([seen(0, 20), seen(500, 40)], [face(2, 20), face(100, 20), face(300, 200)]);
    expect(tally.of('16-32')).toEqual({ faces: 2, recall: 0.5, precision: 1 });
    expect(tally.of('32-64')).toEqual({ faces: 0, recall: null, precision: 0 });
    expect(tally.of('≥128')).toEqual({ faces: 1, recall: 0, precision: null });
    expect(tally.of('all')).toEqual({ faces: 3, recall: 1 / 3, precision: 0.5 });
  });

  test('a face is found once: a second box on it is a false one, and the surer box is the one that finds it', () => {
    const tally = new SizeTally();
    tally.add([seen(4, 40, 0.4), seen(0, 40, 0.8)], [face(0, 40)]);
    expect(tally.of('32-64')).toEqual({ faces: 1, recall: 1, precision: 0.5 });
  });

  test('what is to be ignored is neither missed nor false', () => {
    const tally = new SizeTally();
    tally.add([seen(0, 40), seen(110, 40)], [face(0, 40, true), face(100, 40, true)]);
    expect(tally.of('all')).toEqual({ faces: 0, recall: null, precision: null });
  });

  test('a box beside a face does not find it', () => {
    const tally = new SizeTally();
    tally.add([seen(30, 40)], [face(0, 40)]);
    expect(tally.of('32-64')).toEqual({ faces: 1, recall: 0, precision: 0 });
  });
});

describe('covered area', () => {
  const input = { width: 400, height: 200, frames: 2 };
  /** Masks are laid on cells of 4 pixels. */
  const TOLERANCE = 0.05;

  test('is that of the ellipses, with their margin, over all frames', () => {
    const tracks = [{ boxes: [[0, 100, 50, 100, 80, 0.9]] }];
    const { covered, pixels } = coveredArea({ input, tracks }, 0.3);
    expect(pixels).toBe(2 * 400 * 200);
    const ellipse = Math.PI * 50 * 1.3 * 40 * 1.3;
    expect(Math.abs(covered / ellipse - 1)).toBeLessThan(TOLERANCE);
  });

  test('counts what two masks cover once, and what lies outside the picture not at all', () => {
    const box = [1, -50, 50, 100, 100, null];
    const { covered } = coveredArea({ input, tracks: [{ boxes: [box] }, { boxes: [box] }] }, 0);
    expect(Math.abs(covered / ((Math.PI * 50 * 50) / 2) - 1)).toBeLessThan(TOLERANCE);
  });
});
