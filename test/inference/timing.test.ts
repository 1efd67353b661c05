import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Truth, TruthBox } from '../../bench/clip-motion.ts';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { blurFile } from '../../inference/blur-file.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { turnVideo } from '../clips/mp4-boxes.ts';
import { readMedia, readPictures } from '../clips/read-media.ts';
import { type ReencodeOptions, reencode } from '../clips/reencode.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** The coarsest clock of a container here, WebM's. */
const TICK_SECONDS = 0.001;

const folder = temporaryFolder();
const source = join(folder, 'source.mp4');
const output = join(folder, 'out.mp4');
let made: Promise<Truth> | undefined;

/** The same pictures for all, in one second and a half. */
function sourceTruth(): Promise<Truth> {
  made ??= makeFaceClip(source, { seconds: 1.5 }).then(({ truth }) => truth);
  return made;
}

async function shaped(name: string, options: ReencodeOptions): Promise<string> {
  await sourceTruth();
  const path = join(folder, name);
  await reencode(source, path, options);
  return path;
}

/** Blurs a file and compares every picture's time and the sound's, from the start on, with those of the input. */
async function expectTimesKept(input: string) {
  const result = await blurFile({ input, output });
  const [before, after] = [await readPictures(input), await readPictures(output)];
  expect(after).toHaveLength(before.length);
  expect(result.frames).toBe(before.length);
  const sound = { before: (await readMedia(input)).audio, after: (await readMedia(output)).audio };
  const startSeconds = Math.max(0, Math.min(before[0]!.seconds, sound.before[0]?.seconds ?? Number.POSITIVE_INFINITY));
  for (const [i, { seconds }] of before.entries()) {
    expect(Math.abs(after[i]!.seconds - (seconds - startSeconds))).toBeLessThanOrEqual(TICK_SECONDS);
  }
  expect(sound.after).toHaveLength(sound.before.length);
  for (const [i, { seconds }] of sound.before.entries()) {
    expect(Math.abs(sound.after[i]!.seconds - (seconds - startSeconds))).toBeLessThanOrEqual(TICK_SECONDS);
  }
  return { result, pictures: after };
}

async function expectCovered(input: string, truth: Truth): Promise<void> {
  const { leakedPer1000, faceFrames } = await measureLeaks({ source: input, output, truth });
  expect(faceFrames).toBeGreaterThan(2 * truth.frames.length);
  expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
}

const kept = (truth: Truth, isKept: (n: number) => boolean): Truth => ({
  ...truth,
  frames: truth.frames.filter((_, n) => isKept(n)),
});

test('a variable frame rate is kept, the sound’s times too, and what starts late starts at 0', async () => {
  const input = await shaped('variable.mp4', { filters: "select='not(eq(mod(n,7),3))'", delaySeconds: 1.5 });
  await expectTimesKept(input);
  await expectCovered(
    input,
    kept(await sourceTruth(), (n) => n % 7 !== 3),
  );
});

test('pictures that are coded out of their order come out in it', async () => {
  const input = await shaped('b-frames.mp4', { context: { maxBFrames: 6, gopSize: 12 } });
  await expectTimesKept(input);
  await expectCovered(input, await sourceTruth());
});

test('a clip without sound stays without', async () => {
  const input = await shaped('silent.mp4', { sound: false });
  await expectTimesKept(input);
  expect((await readMedia(output)).kinds).toEqual(['video']);
});

test('a clip of a single picture is one', async () => {
  const input = await shaped('one.mp4', { filters: "select='eq(n,0)'", sound: false });
  const { result } = await expectTimesKept(input);
  expect(result.frames).toBe(1);
  await expectCovered(
    input,
    kept(await sourceTruth(), (n) => n === 0),
  );
});

test('odd sides lose their last row and column', async () => {
  const input = await shaped('odd.webm', { filters: 'scale=641:361', codec: 'vp9', sound: false });
  const { result, pictures } = await expectTimesKept(input);
  expect([result.width, result.height, pictures[0]!.width, pictures[0]!.height]).toEqual([640, 360, 640, 360]);
  await expectCovered(input, await sourceTruth());
});

test('a clip filmed on its side comes out upright, without a mark to turn it, and covered', async () => {
  // Stored a quarter turn anticlockwise; the mark turns it back.
  const input = await shaped('turned.mp4', { filters: 'transpose=cclock', sound: false });
  turnVideo(input);
  expect((await readMedia(input)).hasDisplayMatrix).toBe(true);
  const { result, pictures } = await expectTimesKept(input);
  expect([result.width, result.height, pictures[0]!.width, pictures[0]!.height]).toEqual([640, 360, 640, 360]);
  expect((await readMedia(output)).hasDisplayMatrix).toBe(false);
  // Upright, the pictures are the source's: its truth holds.
  await expectCovered(source, await sourceTruth());
});

test('a portrait clip is covered', async () => {
  const input = await shaped('portrait.mp4', { filters: 'crop=240:360:60:0', sound: false });
  await expectTimesKept(input);
  const truth = await sourceTruth();
  const moved = (box: TruthBox): TruthBox[] => {
    const [id, x, y, w, h] = box;
    return x >= 60 && x + w <= 300 ? [[id, x - 60, y, w, h]] : [];
  };
  const cropped = { ...truth, width: 240, frames: truth.frames.map((boxes) => boxes.flatMap(moved)) };
  const { leaked, faceFrames } = await measureLeaks({ source: input, output, truth: cropped });
  expect(faceFrames).toBeGreaterThan(20);
  expect(leaked).toBe(0);
});
