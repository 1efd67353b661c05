import { hash } from 'node:crypto';
import { cp, mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { convertModel, packageFolder } from '../../models/convert.ts';
import { findModel, loadManifest, type NpmSource } from '../../models/manifest.ts';
import { resolveModel } from '../../models/resolve.ts';
import { FACE_API, FaceApiReference } from './face-api-reference.ts';
import { temporaryFolder } from './temporary-folder.ts';

const SIZE = 512;
const ANCHORS = 5118;
/**
 * Both sides hold the very same float32 weights (but for batch normalisation, folded here) and differ in the order of
 * their sums: seen up to 1.5e-6 over boxes and scores of the six photos. Far below one pixel, which is 2e-3.
 */
const MAX_DIFFERENCE = 1e-5;
/** Plain JavaScript on a busy machine. */
const REFERENCE_TIMEOUT_MS = 240_000;

const entry = findModel(loadManifest(), 'ssd-mobilenet-v1');
const source = entry.source as NpmSource;

/** A photo of the package as interleaved RGB, squeezed to the square: face shapes do not matter to the comparison. */
async function photo(number: number): Promise<Uint8Array> {
  const path = join(FACE_API, 'demo', `sample${number}.jpg`);
  return sharp(path).resize(SIZE, SIZE, { fit: 'fill' }).removeAlpha().raw().toBuffer();
}

function planar(rgb: Uint8Array): Float32Array {
  const area = SIZE * SIZE;
  return Float32Array.from({ length: rgb.length }, (_, i) => rgb[(i % area) * 3 + Math.floor(i / area)]);
}

test('converting twice gives the bytes that the manifest names, in the cache and nothing beside them', async () => {
  const fresh = await convertModel(entry, source, packageFolder(source));
  expect(hash('sha256', fresh, 'hex')).toBe(entry.sha256);
  const cacheDir = await temporaryFolder();
  const first = await resolveModel(entry.name, { cacheDir });
  expect(first.origin).toBe('converted');
  expect(Buffer.compare(first.bytes, fresh)).toBe(0);
  expect(await readdir(cacheDir)).toEqual(['ssd-mobilenet-v1.onnx']);
  expect((await resolveModel(entry.name, { cacheDir })).origin).toBe('cache');
});

test('a cut or changed file in the cache is refused by name, not converted over', async () => {
  const cacheDir = await temporaryFolder();
  const { path } = await resolveModel(entry.name, { cacheDir });
  await truncate(path, entry.bytes - 1);
  const cut = { code: 'truncated', message: expect.stringContaining(path) };
  await expect(resolveModel(entry.name, { cacheDir })).rejects.toMatchObject(cut);
  await writeFile(path, Buffer.alloc(entry.bytes));
  const changed = { code: 'checksum-mismatch', message: expect.stringContaining(path) };
  await expect(resolveModel(entry.name, { cacheDir })).rejects.toMatchObject(changed);
});

test('weight files of the package that are absent, cut or changed are refused before converting', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'model'));
  const [manifest, shard] = source.files.map((file) => file.path) as [string, string];
  await cp(join(FACE_API, manifest), join(folder, manifest));
  const converting = () => convertModel(entry, source, folder);
  const named = { message: expect.stringContaining(join(folder, shard)) };
  await expect(converting()).rejects.toMatchObject({ code: 'not-found', ...named });
  await cp(join(FACE_API, shard), join(folder, shard));
  await truncate(join(folder, shard), 1000);
  await expect(converting()).rejects.toMatchObject({ code: 'truncated', ...named });
  await truncate(join(folder, shard), source.files[1]?.bytes);
  await expect(converting()).rejects.toMatchObject({ code: 'checksum-mismatch', ...named });
});

test('another version of the package is refused', () => {
  const refused = expect.objectContaining({ code: 'source-mismatch' });
  expect(() => packageFolder({ ...source, version: '0.0.1' })).toThrow(refused);
  const absent = expect.objectContaining({ code: 'not-found' });
  expect(() => packageFolder({ ...source, package: '@faceblur/not-a-package' })).toThrow(absent);
});

test(
  'the converted graph gives face-api’s own boxes and scores on real photos',
  async () => {
    const session = await InferenceSession.create(await convertModel(entry, source, packageFolder(source)));
    const reference = await FaceApiReference.load();
    for (const number of [1, 4]) {
      const rgb = await photo(number);
      const expected = await reference.detect(rgb);
      const { boxes, scores } = await session.run({ image: new Tensor('float32', planar(rgb), [1, 3, SIZE, SIZE]) });
      expect(boxes?.dims).toEqual([1, ANCHORS, 4]);
      expect(scores?.dims).toEqual([1, ANCHORS]);
      expect(Math.max(...expected.scores)).toBeGreaterThan(0.5);
      const scoreDifference = maxDifference(scores?.data as Float32Array, expected.scores);
      const boxDifference = maxDifference(boxes?.data as Float32Array, xFirst(expected.boxes));
      console.log(`photo ${number}: scores differ by ${scoreDifference}, boxes by ${boxDifference}`);
      expect(scoreDifference).toBeLessThan(MAX_DIFFERENCE);
      expect(boxDifference).toBeLessThan(MAX_DIFFERENCE);
    }
    await session.release();
  },
  REFERENCE_TIMEOUT_MS,
);

/** y1, x1, y2, x2 → x1, y1, x2, y2 */
function xFirst(boxes: Float32Array): Float32Array {
  return boxes.map((_, i) => boxes[i ^ 1]);
}

/** NaN when a value is missing or no number, which no comparison accepts. */
function maxDifference(found: Float32Array, expected: Float32Array): number {
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (found[i] ?? Number.NaN))), 0);
}
