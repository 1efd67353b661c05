import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dim, lightAt, pillarsAt, unhidden } from '../../bench/clip-effect.ts';
import type { Box } from '../../bench/clip-motion.ts';
import { readLuma } from '../../bench/luma-reader.ts';
import { type MakeClipOptions, makeClip } from '../../bench/make-clip.ts';

const SIZE = { width: 320, height: 180, seconds: 2 } as const;
const FACES: Box[] = [
  [60, 60, 60, 60],
  [300, 180, 60, 60],
  [520, 100, 60, 60],
];

let folder: string;

beforeAll(() => {
  Log.setLevel(AV_LOG_ERROR);
  folder = mkdtempSync(join(tmpdir(), 'faceblur-clip-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stripes as fine as a blur can take away. */
function striped(): Promise<Buffer> {
  const stripes = Array.from({ length: 64 }, (_, i) => `<rect x="${i * 10}" width="5" height="360" fill="#fff"/>`);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360"><rect width="640" height="360"/>${stripes.join('')}</svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}

async function madeClip(name: string, options: Partial<MakeClipOptions> = {}) {
  const output = join(folder, `${name}.mp4`);
  const truth = await makeClip({ photo: await striped(), boxes: FACES, output, ...SIZE, ...options });
  const pictures: Uint8Array[] = [];
  for await (const picture of readLuma(output, SIZE.width, SIZE.height)) pictures.push(picture.slice());
  return { truth, pictures };
}

/** Mean absolute difference of neighbours across: how sharp upright stripes are. */
function sharpness(picture: Uint8Array): number {
  let sum = 0;
  for (let i = 1; i < picture.length; i++) sum += Math.abs(picture[i]! - picture[i - 1]!);
  return sum / picture.length;
}

const mean = (picture: Uint8Array) => picture.reduce((sum, value) => sum + value, 0) / picture.length;

test('pillars pass over faces: who is hidden by more than half is out of the truth for so long, and comes back', async () => {
  const plain = await madeClip('plain', { motion: 'shake' });
  const { truth, pictures } = await madeClip('occlusion', { motion: 'shake', effect: 'occlusion' });
  const gone = truth.frames.map((boxes, n) => plain.truth.frames[n]!.length - boxes.length);
  expect(gone.some((count) => count > 0)).toBe(true);
  expect(gone.at(0)! + gone.at(-1)!).toBeLessThan(2 * FACES.length);
  for (const [n, boxes] of truth.frames.entries()) {
    const pillars = pillarsAt(n / truth.fps, truth.width, 1);
    expect(boxes).toEqual(unhidden(plain.truth.frames[n]!, pillars));
    for (const [left, side] of pillars) {
      const x = Math.round(left + side / 2);
      if (x < 2 || x > truth.width - 3) continue;
      // The middle of a pillar is one tone from top to bottom: nothing of the stripes shows through.
      const column = Array.from({ length: truth.height }, (_, y) => pictures[n]![y * truth.width + x]!);
      expect(Math.max(...column) - Math.min(...column)).toBeLessThan(24);
    }
  }
});

test('a face half behind a pillar counts, and one hidden by more does not', () => {
  const pillars: [number, number][] = [[100, 50]];
  expect(unhidden([[0, 75, 0, 50, 50]], pillars)).toHaveLength(1);
  expect(unhidden([[0, 80, 0, 50, 50]], pillars)).toHaveLength(0);
});

test('an open shutter smears what moves, and leaves every face where it is in the middle of it', async () => {
  const plain = await madeClip('sharp', { motion: 'shake', fps: 10 });
  const { truth, pictures } = await madeClip('blurred', { motion: 'shake', fps: 10, effect: 'motion-blur' });
  expect(truth).toEqual(plain.truth);
  const ratios = pictures.map((picture, n) => sharpness(picture) / sharpness(plain.pictures[n]!));
  expect(Math.min(...ratios)).toBeLessThan(0.7);
  // An unsteady hand stands still for a moment at each turn.
  expect(Math.max(...ratios)).toBeGreaterThan(0.95);
});

test('light swells, is switched, and moves no face', async () => {
  const plain = await madeClip('lit', { motion: 'pan' });
  const { truth, pictures } = await madeClip('light', { motion: 'pan', effect: 'light' });
  expect(truth).toEqual(plain.truth);
  const brightness = pictures.map((picture, n) => mean(picture) / mean(plain.pictures[n]!));
  expect(Math.min(...brightness)).toBeLessThan(0.5);
  expect(Math.max(...brightness)).toBeGreaterThan(0.95);
  expect(brightness.some((value, n) => n > 0 && Math.abs(value - brightness[n - 1]!) > 0.4)).toBe(true);
  expect(lightAt(0, 6)).toBe(1);
});

test('dimming pulls luma to black and chroma to grey', () => {
  const planes = [Uint8Array.of(16, 116, 235), Uint8Array.of(128, 228, 28), Uint8Array.of(128, 128, 128)];
  dim(0.5, planes);
  expect(planes.map((plane) => [...plane])).toEqual([
    [16, 66, 126],
    [128, 178, 78],
    [128, 128, 128],
  ]);
});
