import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import { iou } from '../../../inference/track/box.ts';
import type { ModelLocations } from '../../../models/locations.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { childrenOf, hasProc, isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { plantedPng } from '../families/planted-png.ts';
import { scrfd } from '../families/signatures.ts';
import { photo, stored } from './pictures.ts';

/** A detector's box and one drawn by eye. */
const MIN_OVERLAP = 0.5;
const PROCESS = 'image-process';

const folder = temporaryFolder();
const engines: ImageEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

/** The detector that every machine has. */
function open(models: Partial<ModelLocations> = {}): ImageEngine {
  const engine = new ImageEngine({ cacheDir: join(folder, 'cache'), detector: 'ssd-mobilenet-v1', ...models });
  engines.push(engine);
  return engine;
}

/** Where the five faces are in the photo at this width. */
function facesAt(width: number): { x: number; y: number; w: number; h: number }[] {
  const scale = width / 1920;
  return FIVE_PEOPLE.boxes.map(([x, y, w, h]) => ({ x: x * scale, y: y * scale, w: w * scale, h: h * scale }));
}

test('finds the faces of a real photo where they are as shown, whichever way it is stored', async () => {
  const engine = open();
  for (const [format, orientation] of [
    ['jpeg', 1],
    ['jpeg', 6],
    ['png', 3],
    ['webp', 5],
  ] as const) {
    const found = await engine.detectFaces(await stored(format, orientation, 640));
    expect(found).toMatchObject({ width: 640, height: 466, model: 'ssd-mobilenet-v1' });
    expect(found.faces).toHaveLength(5);
    for (const face of facesAt(640)) {
      expect(Math.max(...found.faces.map((box) => iou(box, face)))).toBeGreaterThan(MIN_OVERLAP);
    }
  }
});

test('a bad picture is refused, and the next one has its turn', async () => {
  const engine = open();
  const bad = engine.detectFaces(Buffer.from('no picture'));
  const good = engine.detectFaces(await photo(320).jpeg().toBuffer());
  await expect(bad).rejects.toMatchObject({ code: 'input-unreadable', message: 'it is no JPEG, PNG or WebP picture' });
  expect((await good).faces.length).toBeGreaterThan(0);
});

test('boxes are cut at the edges of the picture', async () => {
  const [x, y, w, h] = FIVE_PEOPLE.boxes[1]!;
  const region = { left: x + Math.round(w * 0.25), top: y - 150, width: w + 300, height: h + 300 };
  const cut = await photo(1920).extract(region).jpeg().toBuffer();
  const { faces, width, height } = await open().detectFaces(cut);
  expect(faces.length).toBeGreaterThan(0);
  for (const face of faces) {
    expect(Math.min(face.x, face.y)).toBeGreaterThanOrEqual(0);
    expect(face.x + face.w).toBeLessThanOrEqual(width + 1e-6);
    expect(face.y + face.h).toBeLessThanOrEqual(height + 1e-6);
  }
  expect(Math.min(...faces.map((face) => face.x))).toBeLessThan(5);
});

test('a detector that the user brings works by its manifest entry alone, landmarks and all', async () => {
  const { entry, model } = scrfd({});
  const modelsDir = join(folder, 'mine');
  mkdirSync(modelsDir);
  writeFileSync(join(modelsDir, entry.file), model);
  writeFileSync(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [entry] }));
  const { faces, model: name } = await open({ modelsDir, detector: entry.name }).detectFaces(await plantedPng());
  expect(name).toBe('my-scrfd');
  const near = (value: number) => expect.closeTo(value, 0);
  // Column 11 and row 4 of cells of 16 pixels, from half a cell to its left and one above it on.
  expect(faces).toEqual([
    {
      x: near(168),
      y: near(48),
      w: near(32),
      h: near(48),
      score: expect.closeTo(0.875, 2),
      landmarks: [1, 2, 3, 4, 5].map(() => [expect.any(Number), expect.any(Number)]),
    },
  ]);
});

test('without a detector it says what is missing', async () => {
  const failing = open({ detector: 'none-such' }).detectFaces(await photo(64).png().toBuffer());
  const message = expect.stringContaining('no model is called none-such');
  await expect(failing).rejects.toMatchObject({ code: 'model-unusable', message });
});

describe.skipIf(!hasProc)('its process', () => {
  const processes = () => childrenOf(process.pid, PROCESS).filter(isAlive);

  test('is there from the first picture on until close', async () => {
    const engine = open();
    expect(processes()).toEqual([]);
    await engine.detectFaces(await photo(64).png().toBuffer());
    expect(processes()).toHaveLength(1);
    await engine.close();
    expect(processes()).toEqual([]);
    await expect(engine.detectFaces(new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
  });

  test('that dies is replaced at the next picture', async () => {
    const engine = open();
    const picture = await photo(1600).png().toBuffer();
    await engine.detectFaces(picture);
    const dying = engine.detectFaces(picture);
    const [id] = processes();
    process.kill(id!, 'SIGKILL');
    await expect(dying).rejects.toMatchObject({ code: 'child-died' });
    expect((await engine.detectFaces(picture)).faces).toHaveLength(5);
    expect(processes()).not.toContain(id);
  });
});
