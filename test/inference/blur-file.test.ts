import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { type BlurFileResult, type BlurProgress, blurFile } from '../../inference/blur-file.ts';
import type { Detector } from '../../inference/detect/detector.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { psnrOutside } from '../clips/psnr-outside.ts';
import { type ReadMedia, type ReadPicture, readMedia, readPictures } from '../clips/read-media.ts';
import { type Report, readReport, reportedBoxes } from '../clips/report.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';
import { findTrueFaces, openTestDetector } from '../clips/test-detector.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** From this score on the engine itself says that there is a face; a mosaic of one may score less. */
const FACE_SCORE = 0.3;
/** Compared by eye at full size, a picture this near to its source does not look coded again. */
const MIN_PSNR_OUTSIDE_DB = 38;
/** A box's own rounding in the report. */
const BOX_ROUNDING_PX = 0.1;

const folder = temporaryFolder();
const output = join(folder, 'out.mp4');
const reportPath = join(folder, 'out.json');
const progress: BlurProgress[] = [];
let detector: Detector;
let clip: FaceClip;
let result: BlurFileResult;
let report: Report;
let before: { media: ReadMedia; pictures: ReadPicture[] };
let after: { media: ReadMedia; pictures: ReadPicture[] };

const read = async (path: string) => ({ media: await readMedia(path), pictures: await readPictures(path) });

beforeAll(async () => {
  detector = await openTestDetector();
  clip = await makeFaceClip(join(folder, 'in.mp4'));
  const hooks = { onProgress: (step: BlurProgress) => progress.push(step) };
  result = await blurFile({ input: clip.path, output, report: reportPath }, hooks);
  report = readReport(reportPath);
  [before, after] = [await read(clip.path), await read(output)];
});
afterAll(() => detector?.close());

test('no face of the source can be read in the output', async () => {
  const figures = await measureLeaks({ source: clip.path, output, truth: clip.truth });
  expect(figures).toMatchObject({ frames: clip.truth.frames.length, frameCountsDiffer: false });
  expect(figures.faceFrames).toBeGreaterThan(3 * figures.frames);
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
});

test('the detector finds the source’s faces in the source, and none of them in the output', async () => {
  const look = { minScore: FACE_SCORE, everyFrames: 4 };
  expect((await findTrueFaces(clip.path, clip.truth, detector, look)).length).toBeGreaterThan(30);
  expect(await findTrueFaces(output, clip.truth, detector, look)).toEqual([]);
});

test('away from what was covered the picture is kept', async () => {
  expect(await psnrOutside(clip.path, output, (frame) => reportedBoxes(report, frame))).toBeGreaterThan(
    MIN_PSNR_OUTSIDE_DB,
  );
});

test('every picture decodes, in its time and size', () => {
  expect(after.pictures).toEqual(before.pictures);
  expect(after.media.fps).toBe(before.media.fps);
  expect([after.media.format, after.media.kinds]).toEqual([before.media.format, ['video', 'audio']]);
});

test('the sound is the source’s, packet for packet', () => {
  expect(before.media.audio.length).toBeGreaterThan(90);
  expect(after.media.audio.map(({ seconds }) => seconds)).toEqual(before.media.audio.map(({ seconds }) => seconds));
  expect(after.media.audio.every(({ data }, i) => data.equals(before.media.audio[i]!.data))).toBe(true);
  expect(after.media.audio).toHaveLength(before.media.audio.length);
});

test('the result says what was done', () => {
  const frames = clip.truth.frames.length;
  expect(result).toMatchObject({ frames, width: 640, height: 360, fps: 30, durationMs: 2000, coveredWhole: 0 });
  expect(result.faces).toBeGreaterThanOrEqual(4);
  expect(result.detector).toBe(detector.name);
});

test('the output can start to play before it is whole: its index comes first', () => {
  const bytes = readFileSync(output);
  expect(bytes.indexOf('moov')).toBeGreaterThan(0);
  expect(bytes.indexOf('moov')).toBeLessThan(bytes.indexOf('mdat'));
});

test('nothing but the output and the report is left in the folder', () => {
  expect(readdirSync(folder).sort()).toEqual(['in.mp4', 'out.json', 'out.mp4']);
  expect(statSync(output).mode & 0o777).toBe(0o666 & ~process.umask());
});

test('progress goes from starting to finishing, and never back', () => {
  expect(progress[0]).toMatchObject({ stage: 'starting', frames: 0, totalFrames: 60 });
  expect(progress.at(-1)).toMatchObject({ stage: 'finishing', frames: 60, totalFrames: 60 });
  const frames = progress.map((step) => step.frames);
  expect(frames).toEqual(frames.toSorted((a, b) => a - b));
});

test('the report names the very files, and the figures of the result', () => {
  const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
  const { frames, width, height, fps, durationMs } = result;
  expect(report.input).toEqual({ sha256: sha256(clip.path), frames, width, height, fps, durationMs });
  expect(report.output).toEqual({ sha256: sha256(output) });
  expect(report.model).toEqual({ detector: detector.name, recogniser: null });
  expect(report.policy).toEqual({ mode: 'all', identities: [], style: 'mosaic', strength: 0.5, margin: 0.3 });
});

test('the report’s tracks lie in the clip and in its frames, in order, and all are covered', () => {
  expect(report.tracks).toHaveLength(result.faces);
  expect(new Set(report.tracks.map(({ id }) => id)).size).toBe(report.tracks.length);
  for (const { boxes, firstFrame, lastFrame, visible, identity } of report.tracks) {
    const frames = boxes.map(([frame]) => frame);
    expect([frames[0], frames.at(-1)]).toEqual([firstFrame, lastFrame]);
    expect(frames).toEqual([...new Set(frames)].toSorted((a, b) => a - b));
    expect(lastFrame).toBeLessThan(result.frames);
    for (const [, x, y, w, h] of boxes) {
      expect(Math.min(x + w, result.width - x, y + h, result.height - y)).toBeGreaterThan(-BOX_ROUNDING_PX);
    }
    expect([visible, identity]).toEqual([false, null]);
  }
});

test('the report has a box on every true face of every frame', () => {
  const missed = clip.truth.frames.flatMap((faces, frame) => {
    const boxes = reportedBoxes(report, frame);
    const isCovered = (x: number, y: number) =>
      boxes.some((box) => x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h);
    return faces.filter(([, x, y, w, h]) => !isCovered(x + w / 2, y + h / 2)).map(([id]) => `${id} in frame ${frame}`);
  });
  expect(missed).toEqual([]);
});
