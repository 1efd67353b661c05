import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import { readImageHeader } from '../../../inference/image/image-header.ts';
import { stillModelNames } from '../../../inference/image/still-model-names.ts';
import { similarity } from '../../../inference/recognise/similarity.ts';
import { iou } from '../../../inference/track/box.ts';
import type { ModelLocations } from '../../../models/locations.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { childrenOf, hasProc, isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { recogniserEntry, recogniserGraph, type Twist } from '../recognise/recogniser-graph.ts';
import { photo, stored } from './pictures.ts';

/** A detector's box and one drawn by eye. */
const MIN_OVERLAP = 0.5;
/** Of one photo stored in two ways: what coding alone changes. Seen 0.995. */
const MIN_SAME_PHOTO = 0.98;
const UNIT_DIGITS = 5;
const THUMBNAIL_SIDE = 160;
const PROCESS = 'image-process';

const folder = temporaryFolder();
const engines: ImageEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

/** The detector that every machine has, which gives no landmarks. */
function open(models: Partial<ModelLocations> = {}, idleMs?: number): ImageEngine {
  const locations = { cacheDir: join(folder, 'cache'), detector: 'ssd-mobilenet-v1', ...models };
  const engine = new ImageEngine(locations, undefined, idleMs);
  engines.push(engine);
  return engine;
}

/** A folder with a recogniser of a user's own. */
function brought(name: string, twist: Twist): Pick<ModelLocations, 'modelsDir' | 'recogniser'> {
  const signature = {
    family: 'arcface' as const,
    input: {
      ...{ mean: [0, 0, 0] as [number, number, number], scale: 1, layout: 'NCHW' as const, channels: 'RGB' as const },
      size: { width: 112, height: 112 },
    },
    dimension: 256,
  };
  const model = recogniserGraph(signature, twist);
  const entry = recogniserEntry(signature, model);
  const modelsDir = join(folder, name);
  mkdirSync(modelsDir);
  writeFileSync(join(modelsDir, entry.file), model);
  writeFileSync(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [entry] }));
  return { modelsDir, recogniser: entry.name };
}

test('every face of a photo has an embedding, the same whichever way it is stored, and a thumbnail', async () => {
  const engine = open();
  const upright = await engine.embedFaces(await stored('jpeg', 1, 1280), { thumbnails: true });
  const turned = await engine.embedFaces(await stored('webp', 6, 1280));
  expect(upright).toMatchObject({ width: 1280, height: 932, detector: 'ssd-mobilenet-v1', model: 'face-recogniser' });
  expect(upright.dimension).toBe(128);
  expect(upright.thresholds.accept).toBeGreaterThan(upright.thresholds.reject);
  expect(upright.faces).toHaveLength(5);
  // One of them looks aside.
  expect(upright.faces.filter(({ refusal }) => refusal === null).length).toBeGreaterThanOrEqual(4);
  for (const { detection, quality, embedding, thumbnail } of upright.faces) {
    expect(detection.landmarks).toHaveLength(5);
    expect(quality).toBeGreaterThan(0);
    expect(embedding).toHaveLength(128);
    expect(Math.hypot(...embedding!)).toBeCloseTo(1, UNIT_DIGITS);
    const same = turned.faces.toSorted((a, b) => iou(b.detection, detection) - iou(a.detection, detection))[0]!;
    expect(iou(same.detection, detection)).toBeGreaterThan(MIN_OVERLAP);
    expect(similarity(same.embedding!, embedding!)).toBeGreaterThan(MIN_SAME_PHOTO);
    expect(same.thumbnail).toBeNull();

    expect(readImageHeader(thumbnail!)).toMatchObject({ format: 'jpeg', isWhole: true });
    const { width, height } = await sharp(thumbnail!).metadata();
    expect(Math.max(width, height)).toBeLessThanOrEqual(THUMBNAIL_SIDE);
  }
});

test('a thumbnail shows the face that it is of', async () => {
  const engine = open();
  const { faces } = await engine.embedFaces(await photo(1280).jpeg().toBuffer(), { thumbnails: true });
  for (const { thumbnail, embedding } of faces) {
    // With room around it, for the detector sees no face that fills its picture.
    const margin = { top: 160, bottom: 160, left: 160, right: 160, background: '#808080' };
    const shown = await engine.embedFaces(await sharp(thumbnail!).extend(margin).jpeg().toBuffer());
    expect(shown.faces).toHaveLength(1);
    const likeness = faces.map((face) => similarity(face.embedding!, shown.faces[0]!.embedding!));
    expect(Math.max(...likeness)).toBe(similarity(embedding!, shown.faces[0]!.embedding!));
  }
});

test('a thumbnail tells nothing of where and with what the photo was taken', async () => {
  const exif = { IFD0: { Make: 'Maker of cameras', Artist: 'Somebody' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } };
  const file = await photo(1280).jpeg().withExif(exif).withIccProfile('p3').toBuffer();
  expect(file.includes('Maker of cameras')).toBe(true);
  const { faces } = await open().embedFaces(file, { thumbnails: true });
  expect(faces).toHaveLength(5);
  for (const { thumbnail } of faces) {
    expect((await sharp(thumbnail!).metadata()).exif).toBeUndefined();
    // APP1 (Exif), APP2 (colour profile), comments.
    for (const marker of [0xe1, 0xe2, 0xfe]) {
      expect(Buffer.from(thumbnail!).indexOf(Buffer.from([0xff, marker]))).toBe(-1);
    }
  }
});

test('age, gender and expression are guessed of each face', async () => {
  const { faces, detector } = await open().analyseFaces(await photo(1280).jpeg().toBuffer());
  expect(detector).toBe('ssd-mobilenet-v1');
  expect(faces).toHaveLength(5);
  for (const { detection, age, gender, expression } of faces) {
    const scale = 1280 / 1920;
    const boxes = FIVE_PEOPLE.boxes.map(([x, y, w, h]) => ({ x: x * scale, y: y * scale, w: w * scale, h: h * scale }));
    expect(Math.max(...boxes.map((box) => iou(box, detection)))).toBeGreaterThan(MIN_OVERLAP);
    expect(age).toBeGreaterThan(15);
    expect(age).toBeLessThan(70);
    expect(['male', 'female']).toContain(gender.label);
    expect(gender.confidence).toBeGreaterThanOrEqual(0.5);
    const sum = Object.values(expression.all).reduce((total, value) => total + value, 0);
    expect(sum).toBeCloseTo(1, UNIT_DIGITS);
    expect(expression.all[expression.label]).toBe(expression.confidence);
  }
});

test('faces have landmarks where they are asked for, whatever the detector gives', async () => {
  const engine = open();
  const picture = await photo(1280).jpeg().toBuffer();
  const { faces } = await engine.detectFaces(picture);
  expect(faces.map(({ landmarks }) => landmarks)).toEqual([1, 2, 3, 4, 5].map(() => undefined));
  const completed = (await engine.detectFaces(picture, { landmarks: true })).faces;
  expect(completed.map(({ landmarks, ...face }) => face)).toEqual(faces);
  for (const { x, y, w, h, landmarks } of completed) {
    const [right, left, nose] = landmarks!;
    for (const [px, py] of landmarks!) {
      expect([px > x - w / 2, px < x + 1.5 * w, py > y - h / 2, py < y + 1.5 * h]).not.toContain(false);
    }
    expect(right[0]).toBeLessThan(left[0]);
    expect(nose[1]).toBeGreaterThan(Math.min(right[1], left[1]));
  }
});

test('which models are used is told without loading any, and changes with each', async () => {
  const locations = { cacheDir: join(folder, 'cache'), detector: 'ssd-mobilenet-v1' };
  await open().detectFaces(await photo(64).jpeg().toBuffer());
  const names = await stillModelNames(locations);
  expect(names).toMatchObject({ detector: 'ssd-mobilenet-v1', recogniser: 'face-recogniser' });
  const other = await stillModelNames({ ...locations, ...brought('fingerprint', {}) });
  expect(other.recogniser).toBe('my-arcface');
  expect(other.fingerprint).not.toBe(names.fingerprint);
  expect(await stillModelNames(locations)).toEqual(names);
});

test('a picture without faces, however small, has none', async () => {
  const engine = open();
  for (const [width, height] of [
    [1, 1],
    [3, 2],
    [301, 201],
  ] as const) {
    const grey = sharp({ create: { width, height, channels: 3, background: '#808080' } });
    const file = await grey.png().toBuffer();
    expect(await engine.embedFaces(file, { thumbnails: true })).toMatchObject({ width, height, faces: [] });
    expect(await engine.analyseFaces(file)).toMatchObject({ width, height, faces: [] });
  }
});

describe('a recogniser that fails', () => {
  test('with a result that is no number fails the picture, and the next one has its turn', async () => {
    const engine = open(brought('not-a-number', { onBright: Number.NaN }));
    const picture = await photo(1280).jpeg().toBuffer();
    const failing = engine.embedFaces(picture);
    await expect(failing).rejects.toMatchObject({ code: 'run-failed', message: expect.stringMatching(/no number/) });
    expect((await engine.detectFaces(picture)).faces).toHaveLength(5);
  });

  test('as it is of another dimension than its entry says is named', async () => {
    const engine = open(brought('dimension', { dimension: 64 }));
    const failing = engine.embedFaces(await photo(640).jpeg().toBuffer());
    await expect(failing).rejects.toMatchObject({
      code: 'model-unusable',
      message: expect.stringMatching(/my-arcface/),
    });
  });
});

test('a picture that nobody waits for any more is left alone', async () => {
  const engine = open();
  const leaving = new AbortController();
  const first = engine.detectFaces(await photo(1280).jpeg().toBuffer());
  const second = engine.embedFaces(await photo(640).jpeg().toBuffer(), { signal: leaving.signal });
  leaving.abort();
  await expect(second).rejects.toMatchObject({ code: 'aborted' });
  expect((await first).faces).toHaveLength(5);
});

test.skipIf(!hasProc)('without a picture for a while the process ends, and comes back', async () => {
  const processes = () => childrenOf(process.pid, PROCESS).filter(isAlive);
  const engine = open({}, 50);
  const picture = await photo(320).jpeg().toBuffer();
  const { faces } = await engine.detectFaces(picture);
  await vi.waitFor(() => expect(processes()).toEqual([]));
  expect((await engine.detectFaces(picture)).faces).toEqual(faces);
});
