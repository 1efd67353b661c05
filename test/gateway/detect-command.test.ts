import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Box, iou } from '../../inference/track/box.ts';
import { FIVE_PEOPLE } from '../clips/face-photo.ts';
import { plantedPng } from '../inference/families/planted-png.ts';
import { scrfd } from '../inference/families/signatures.ts';
import { type Ended, endChildren, faceblur, Running } from './run-cli.ts';

/** A detector's box and one drawn by eye. */
const MIN_OVERLAP = 0.5;
/** The one that every machine has, in the test's own cache. */
const ENV = { FACEBLUR_DETECTOR: 'ssd-mobilenet-v1' };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-detect-'));
  const photo = () => sharp(FIVE_PEOPLE.path).resize(960);
  await photo().jpeg().toFile(join(folder, 'upright.jpg'));
  // The pixels lie on their side; Exif says how to turn them back.
  await photo().rotate(270).withMetadata({ orientation: 6 }).webp().toFile(join(folder, 'turned.webp'));
  await sharp({ create: { width: 64, height: 48, channels: 3, background: '#888' } })
    .png()
    .toFile(join(folder, 'grey.png'));
  await writeFile(join(folder, 'text.jpg'), 'no picture');
  await writeFile(join(folder, 'huge.jpg'), '');
  await truncate(join(folder, 'huge.jpg'), 60_000_000);
  await mkdir(join(folder, 'folder'));
});
afterEach(endChildren);
afterAll(() => rm(folder, { recursive: true, force: true }));

function detect(args: readonly string[], env: Record<string, string> = ENV): Promise<Ended> {
  return faceblur(['detect', ...args], { cwd: folder, env });
}

interface DetectedImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly faces: readonly { box: [number, number, number, number]; score: number; landmarks: number[][] | null }[];
  readonly model: string;
  readonly tookMs: number;
}

test('--json gives the boxes of the picture as shown, a picture an object, in their order', async () => {
  const { code, stdout, stderr } = await detect(['--json', 'upright.jpg', 'turned.webp', 'grey.png']);
  expect([code, stderr]).toEqual([0, '']);
  const [upright, turned, grey] = JSON.parse(stdout) as [DetectedImage, DetectedImage, DetectedImage];
  expect(Object.keys(upright)).toEqual(['path', 'width', 'height', 'faces', 'model', 'tookMs']);
  expect([upright.path, turned.path, grey.path]).toEqual(['upright.jpg', 'turned.webp', 'grey.png']);
  for (const image of [upright, turned]) {
    expect(image).toMatchObject({ width: 960, height: 699, model: 'ssd-mobilenet-v1' });
    expect(image.faces).toHaveLength(5);
    for (const [x, y, w, h] of FIVE_PEOPLE.boxes) {
      const face = { x: x / 2, y: y / 2, w: w / 2, h: h / 2 };
      expect(Math.max(...image.faces.map(({ box }) => iou(boxOf(box), face)))).toBeGreaterThan(MIN_OVERLAP);
    }
    for (const { score, landmarks } of image.faces) {
      expect(score).toBeGreaterThan(0.5);
      expect(score).toBeLessThanOrEqual(1);
      expect(landmarks).toBeNull();
    }
  }
  expect(grey).toMatchObject({ width: 64, height: 48, faces: [] });
});

function boxOf([x, y, w, h]: readonly [number, number, number, number]): Box {
  return { x, y, w, h };
}

test('without --json it prints a line a picture and one a face', async () => {
  const { code, stdout, stderr } = await detect(['upright.jpg', 'grey.png']);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^upright\.jpg: 5 faces \(960×699, ssd-mobilenet-v1, \d+ ms\)$/);
  for (const line of lines.slice(1, 6)) expect(line).toMatch(/^ {2}0\.\d\d {2}at \d+,\d+ {2}\d+×\d+$/);
  expect(lines[6]).toMatch(/^grey\.png: 0 faces \(64×48, /);
  expect(lines.slice(7)).toEqual(['']);
});

test('bad pictures among good ones are told, each in one line, and the exit code is 2', async () => {
  const bad = ['text.jpg', 'none.jpg', 'folder', '/dev/zero', 'huge.jpg'];
  const { code, stdout, stderr } = await detect(['--json', ...bad, 'grey.png']);
  expect(code).toBe(2);
  const reasons = [
    'it is no JPEG, PNG or WebP picture',
    'no such file',
    'it is a folder, not a picture',
    'it is not a regular file',
    'it has 60000000 bytes; at most 50000000 are read',
  ];
  expect(stderr).toBe(bad.map((path, i) => `faceblur: ${path}: ${reasons[i]}\n`).join(''));
  const items = JSON.parse(stdout) as object[];
  expect(items.slice(0, 5)).toEqual(bad.map((path, i) => ({ path, error: reasons[i] })));
  expect(items[5]).toMatchObject({ path: 'grey.png', faces: [] });
});

test('no picture, and an unknown option, are refused with exit code 2', async () => {
  expect(await detect([])).toMatchObject({ code: 2, stderr: "faceblur: missing required argument 'image'\n" });
  expect((await detect(['--jsn', 'grey.png'])).stderr).toMatch(/unknown option '--jsn'.*--json/);
});

test('the user’s own detector: by its manifest entry, or told in one line why not, with exit code 2', async () => {
  const { entry, model } = scrfd({});
  const modelsDir = join(folder, 'models');
  await mkdir(modelsDir);
  const write = (change: object) =>
    writeFile(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [{ ...entry, ...change }] }));
  await writeFile(join(modelsDir, entry.file), model);
  await writeFile(join(folder, 'planted.png'), await plantedPng());
  const env = { FACEBLUR_MODELS_DIR: modelsDir, FACEBLUR_DETECTOR: entry.name };

  await write({});
  const found = await detect(['--json', 'planted.png'], env);
  const [image] = JSON.parse(found.stdout) as [DetectedImage];
  expect(image.model).toBe('my-scrfd');
  expect(image.faces).toHaveLength(1);
  expect(iou(boxOf(image.faces[0]!.box), { x: 168, y: 48, w: 32, h: 48 })).toBeGreaterThan(0.98);
  expect(image.faces[0]!.landmarks).toHaveLength(5);

  const refusals: [object, RegExp][] = [
    [
      { outputs: { ...entry.outputs, scores: ['a', 'b', 'c'] } },
      /model my-scrfd: there is no output a; the graph gives/,
    ],
    [{ input: { ...entry.input, scale: 'x' } }, /FACEBLUR_MODELS_DIR: .*manifest\.json: models\.0\.input\.scale: /],
    [{ name: 'other' }, /FACEBLUR_DETECTOR: no model is called my-scrfd; the manifest has .*other/],
    [{ sha256: '0'.repeat(64) }, /my-scrfd\.onnx has a wrong sha256/],
  ];
  for (const [change, message] of refusals) {
    await write(change);
    const { code, stdout, stderr } = await detect(['planted.png', 'grey.png'], env);
    expect(stderr).toMatch(/^faceblur: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
  }
});

test('a signal stops it, and the array that it was printing is closed', async () => {
  const running = new Running(['detect', '--json', ...Array.from({ length: 200 }, () => 'upright.jpg')], {
    cwd: folder,
    env: ENV,
  });
  await running.printed(/"upright\.jpg"/);
  running.child.kill('SIGINT');
  const { code, stdout, stderr } = await running.ended;
  expect([code, stderr]).toEqual([130, 'faceblur: stopped\n']);
  const images = JSON.parse(stdout) as DetectedImage[];
  expect(images.length).toBeGreaterThan(0);
  expect(images.length).toBeLessThan(200);
});

test('its help tells limits, the JSON and examples', async () => {
  const { code, stdout } = await detect(['--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/50 MB and 100 megapixels[\s\S]*"landmarks"[\s\S]*Examples:/);
});
