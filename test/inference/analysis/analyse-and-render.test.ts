import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { measureLeaks } from '../../../bench/leak-measure.ts';
import type { Analysis } from '../../../inference/analysis/analysis.ts';
import { showPeople } from '../../../inference/analysis/decide.ts';
import { analyseFile, type BlurProgress, renderFile } from '../../../inference/blur-file.ts';
import { InferenceError } from '../../../inference/errors.ts';
import type { ResolveOptions } from '../../../models/resolve.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { PEOPLE_TOLD } from '../../clips/live-detector.ts';
import { readReport } from '../../clips/report.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** A face that is shown is one in nearly all frames: its first and last sightings bound it. */
const MIN_KEPT_VISIBLE = 0.9;
const CHOSEN = { mode: 'except', identities: [] } as const;

const folder = temporaryFolder();
const facesPath = join(folder, 'in.faces');
const progress: BlurProgress[] = [];
let clip: FaceClip;
let analysis: Analysis;

beforeAll(async () => {
  clip = await makeFaceClip(join(folder, 'in.mp4'), { width: 1280, height: 720 }, FIVE_PEOPLE);
  analysis = await analyseFile({ input: clip.path, output: facesPath }, { onProgress: (step) => progress.push(step) });
});

const render = (output: string, visible: (person: number) => boolean, input = clip.path, by = analysis) =>
  renderFile({
    input,
    output: join(folder, output),
    report: join(folder, output.replace('.mp4', '.json')),
    analysis: by,
    verdicts: showPeople(by, ({ id }) => visible(id)),
    chosen: CHOSEN,
  });

test('an analysis tells how many people there are, when, and shows each', async () => {
  expect(analysis).toMatchObject({ width: 1280, height: 720, fps: 30, frames: 60, durationMs: 2000, path: facesPath });
  expect(analysis.people).toHaveLength(PEOPLE_TOLD);
  for (const { thumbnail, ranges, firstFrame, lastFrame } of analysis.people) {
    expect(ranges).toHaveLength(1);
    expect(firstFrame).toBeLessThan(10);
    expect(lastFrame).toBeGreaterThan(50);
    const { format, exif, icc, width = 0 } = await sharp(thumbnail!).metadata();
    expect([format, exif, icc, width > 50 && width <= 160]).toEqual(['jpeg', undefined, undefined, true]);
  }
  expect(progress.map(({ stage }) => stage)).toContain('analysing');
});

test('the file of an analysis holds neither embeddings nor pictures', () => {
  const bytes = readFileSync(facesPath);
  for (const { mean, looks } of analysis.tracklets) {
    for (const embedding of [mean, ...looks.map((look) => look.embedding)]) {
      expect(bytes.includes(Buffer.from(embedding.buffer, embedding.byteOffset, 16))).toBe(false);
    }
  }
  expect(bytes.includes(Buffer.from([0xff, 0xd8, 0xff]))).toBe(false);
});

test('rendered without anybody to show, no face can be read', async () => {
  const result = await render('all.mp4', () => false);
  expect(result).toMatchObject({ frames: 60, shown: 0, coveredWhole: 0 });
  const figures = await measureLeaks({ source: clip.path, output: join(folder, 'all.mp4'), truth: clip.truth });
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
});

test('rendered again with one person shown, that face is as it was and the others can’t be read', async () => {
  for (const { id } of analysis.people.slice(0, 2)) {
    const output = `one-${id}.mp4`;
    const result = await render(output, (person) => person === id);
    expect(result).toMatchObject({ frames: 60, shown: 1, coveredWhole: 0 });
    // Whose face it is the pixels tell: exactly one of all can be read, nearly always.
    const visible: number[] = [];
    for (const kept of FIVE_PEOPLE.boxes.keys()) {
      const { keptVisible } = await measureLeaks({
        source: clip.path,
        output: join(folder, output),
        truth: clip.truth,
        keep: [kept],
      });
      if (keptVisible !== null && keptVisible > MIN_KEPT_VISIBLE) visible.push(kept);
    }
    expect(visible).toHaveLength(1);
    const figures = await measureLeaks({
      source: clip.path,
      output: join(folder, output),
      truth: clip.truth,
      keep: visible,
    });
    expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
    const shown = readReport(join(folder, `one-${id}.json`)).tracks.filter(({ visible: isVisible }) => isVisible);
    expect(shown.length).toBeGreaterThan(0);
  }
});

test('another file than the one that was analysed is covered whole', async () => {
  const other = await makeFaceClip(join(folder, 'other.mp4'), { width: 1280, height: 720, seed: 5 }, FIVE_PEOPLE);
  const warnings: string[] = [];
  const result = await renderFile(
    {
      input: other.path,
      output: join(folder, 'swapped.mp4'),
      analysis,
      verdicts: showPeople(analysis, () => true),
      chosen: CHOSEN,
    },
    { onWarning: (message) => warnings.push(message) },
  );
  expect(result).toMatchObject({ frames: 60, coveredWhole: 60, shown: 0 });
  expect(warnings).toEqual([expect.stringContaining('60 frames are not as they were analysed')]);
});

test('an analysis that is cut off is refused, and nothing is written', async () => {
  const path = join(folder, 'short.faces');
  copyFileSync(facesPath, path);
  truncateSync(path, statSync(path).size - 20);
  await expect(render('short.mp4', () => true, clip.path, { ...analysis, path })).rejects.toMatchObject({
    code: 'input-unreadable',
  });
  expect(existsSync(join(folder, 'short.mp4'))).toBe(false);
});

test('from a record on that is not as it was written, frames are covered whole', async () => {
  const path = join(folder, 'harmed.faces');
  const bytes = readFileSync(facesPath);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
  const { frames, coveredWhole } = await render('harmed.mp4', () => true, clip.path, { ...analysis, path });
  expect(frames).toBe(60);
  expect(coveredWhole).toBeGreaterThan(20);
  expect(coveredWhole).toBeLessThan(40);
});

test('an analysis that is stopped leaves nothing behind', async () => {
  const before = readdirSync(folder).toSorted();
  const stop = new AbortController();
  const stopped = analyseFile(
    { input: clip.path, output: join(folder, 'stopped.faces') },
    { signal: stop.signal, onProgress: () => stop.abort() },
  );
  await expect(stopped).rejects.toBeInstanceOf(InferenceError);
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  expect(readdirSync(folder).toSorted()).toEqual(before);
});

test('with a detector that gives no landmarks people are told apart as well', async () => {
  const modelsDir = join(folder, 'empty');
  mkdirSync(modelsDir);
  const models: ResolveOptions = { cacheDir: join(folder, 'cache'), modelsDir, allowDownload: false };
  const found = await analyseFile({ input: clip.path, output: join(folder, 'fallback.faces'), models });
  expect(found.detector).toBe('ssd-mobilenet-v1');
  // One of the five has the head down, which the landmark model takes for turned away.
  expect(found.people.length).toBeGreaterThanOrEqual(FIVE_PEOPLE.boxes.length - 1);
  expect(found.people.every(({ thumbnail }) => thumbnail !== null)).toBe(true);
});
