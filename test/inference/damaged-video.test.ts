import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BlurFileResult, blurFile } from '../../inference/blur-file.ts';
import type { Detector } from '../../inference/detect/detector.ts';
import { InferenceError } from '../../inference/errors.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { mediaData } from '../clips/mp4-boxes.ts';
import { seededRandom } from '../clips/picture.ts';
import { readPictures } from '../clips/read-media.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';
import { findTrueFaces, openTestDetector } from '../clips/test-detector.ts';

/** From this score on it is a face: YuNet's as the engine has it, SSD's as face-api itself has it (`minConfidence`). */
const FACE_SCORES: Readonly<Record<string, number>> = { 'yunet-n': 0.3, 'ssd-mobilenet-v1': 0.5 };

const folder = temporaryFolder();
let detector: Detector;
let mp4: FaceClip;
let webm: FaceClip;
let output: string;

beforeAll(async () => {
  detector = await openTestDetector();
  mp4 = await makeFaceClip(join(folder, 'whole.mp4'), { seconds: 1.5 });
  webm = await makeFaceClip(join(folder, 'whole.webm'), { codec: 'vp9', seconds: 1.5 });
});
beforeEach(() => {
  output = join(mkdtempSync(join(folder, 'outputs-')), 'out.mp4');
});
afterAll(() => detector?.close());

/** Overwrites so many bytes between two parts (0..1) of what holds the pictures. */
function damaged({ path }: FaceClip, seed: number, count: number, [from, to]: readonly [number, number]): string {
  const bytes = readFileSync(path);
  const random = seededRandom(seed);
  const { start, end } = path.endsWith('.mp4') ? mediaData(bytes) : { start: 4096, end: bytes.length };
  for (let i = 0; i < count; i++) {
    const at = start + Math.floor((from + random() * (to - from)) * (end - start));
    bytes[at] = Math.floor(random() * 256);
  }
  const name = join(folder, `damaged${path.slice(path.lastIndexOf('.'))}`);
  writeFileSync(name, bytes);
  return name;
}

/** @returns what was done; null where the file was refused, which must be the file's fault and leave nothing */
async function blurDamaged(input: string): Promise<BlurFileResult | null> {
  try {
    return await blurFile({ input, output });
  } catch (error) {
    expect(error).toBeInstanceOf(InferenceError);
    expect(error).toMatchObject({ fault: 'input' });
    expect(readdirSync(dirname(output))).toEqual([]);
    return null;
  }
}

describe.each([
  ['a bit of damage', 3, [0.3, 0.7]],
  ['much damage in the middle', 400, [0.4, 0.6]],
  ['damage from the first byte on', 200, [0, 0.3]],
  ['damage all over', 2000, [0, 1]],
] as const)('%s', (_, count, part) => {
  test.each(['mp4', 'webm'] as const)('in %s: every picture that leaves is covered', async (kind) => {
    const clip = kind === 'mp4' ? mp4 : webm;
    const result = await blurDamaged(damaged(clip, count, count, part));
    if (result === null) return;
    expect((await readPictures(output)).length).toBe(result.frames);
    expect(result.frames).toBeLessThanOrEqual(clip.truth.frames.length);
    expect(
      await findTrueFaces(output, clip.truth, detector, { minScore: FACE_SCORES[detector.name]!, everyFrames: 1 }),
    ).toEqual([]);
  });
});

test('pictures that the decoder had to make up are covered whole', async () => {
  const result = await blurDamaged(damaged(mp4, 1, 400, [0.4, 0.6]));
  expect(result?.coveredWhole).toBeGreaterThan(0);
});
