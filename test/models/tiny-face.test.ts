import { hash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AV_PIX_FMT_RGB24, FFmpegError, Frame } from 'node-av';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { openDetector } from '../../inference/detect/open-detector.ts';
import { iou } from '../../inference/track/box.ts';
import { convertModel, packageFolder } from '../../models/convert.ts';
import { findModel, loadManifest, type NpmSource } from '../../models/manifest.ts';
import { resolveModel } from '../../models/resolve.ts';
import { FACE_API, FaceApiReference } from './face-api-reference.ts';
import { temporaryFolder } from './temporary-folder.ts';

const SIDE = 416;
const ANCHORS = 5;
const PLANES = 5;
/** The same float32 weights, summed in another order: seen up to 3.5e-5, of values that go to about 10. */
const MAX_DIFFERENCE = 2e-4;
/** The picture passes through FFmpeg's colours on its way in, one of 256 levels at most. */
const MIN_SAME_BOX_IOU = 0.95;
const MAX_SCORE_DIFFERENCE = 0.02;
const MIN_SCORE = 0.5;
const REFERENCE_TIMEOUT_MS = 120_000;

const entry = findModel(loadManifest(), 'tiny-face');
const source = entry.source as NpmSource;

/** A photo of the package as interleaved RGB, squeezed to the square: face shapes do not matter to the comparison. */
async function photo(number: number): Promise<Buffer> {
  const path = join(FACE_API, 'demo', `sample${number}.jpg`);
  return sharp(path).resize(SIDE, SIDE, { fit: 'fill' }).removeAlpha().raw().toBuffer();
}

/** As the manifest says that the graph is fed. */
function fed(rgb: Uint8Array): Float32Array {
  const area = SIDE * SIDE;
  const { mean, scale } = entry.input;
  return Float32Array.from({ length: rgb.length }, (_, i) => {
    const plane = Math.floor(i / area);
    return (rgb[(i % area) * 3 + plane]! - mean[plane]!) * scale;
  });
}

test('converting gives the bytes that the manifest names, kept in the cache', async () => {
  const fresh = await convertModel(entry, source, packageFolder(source));
  expect(hash('sha256', fresh, 'hex')).toBe(entry.sha256);
  const cacheDir = await temporaryFolder();
  expect((await resolveModel(entry.name, { cacheDir })).origin).toBe('converted');
  expect(await readdir(cacheDir)).toEqual(['tiny-face.onnx']);
  expect((await resolveModel(entry.name, { cacheDir })).origin).toBe('cache');
});

test(
  'the converted graph gives face-api’s own values, and the detector its faces, on real photos',
  async () => {
    const model = await convertModel(entry, source, packageFolder(source));
    const session = await InferenceSession.create(model);
    const detector = await openDetector(entry, model, 1);
    const reference = await FaceApiReference.load();
    for (const number of [1, 4]) {
      const rgb = await photo(number);
      const expected = await reference.tinyCells(rgb, SIDE);
      const { cells } = await session.run({ image: new Tensor('float32', fed(rgb), [1, 3, SIDE, SIDE]) });
      const [rows, columns] = [SIDE / 32, SIDE / 32];
      expect(cells?.dims).toEqual([1, ANCHORS * PLANES, rows, columns]);
      const difference = maxDifference(cellMajor(cells?.data as Float32Array, rows * columns), expected);
      console.log(`photo ${number}: cells differ by ${difference}`);
      expect(difference).toBeLessThan(MAX_DIFFERENCE);

      const faces = await reference.tinyFaces(rgb, SIDE, MIN_SCORE);
      const picture = frameOf(rgb);
      const found = await detector.detect(picture, SIDE, MIN_SCORE);
      picture.free();
      expect(faces.length).toBeGreaterThanOrEqual(2);
      expect(found).toHaveLength(faces.length);
      for (const face of faces) {
        const same = found.find((box) => iou(box, face) > MIN_SAME_BOX_IOU);
        expect(Math.abs((same?.score ?? Number.NaN) - face.score)).toBeLessThan(MAX_SCORE_DIFFERENCE);
      }
    }
    await detector.close();
    await session.release();
  },
  REFERENCE_TIMEOUT_MS,
);

/** Planes of cells → the planes of each cell, as tfjs has them. */
function cellMajor(values: Float32Array, count: number): Float32Array {
  const planes = ANCHORS * PLANES;
  return Float32Array.from({ length: values.length }, (_, i) => values[(i % planes) * count + Math.floor(i / planes)]!);
}

function frameOf(rgb: Buffer): Frame {
  const frame = new Frame();
  frame.alloc();
  Object.assign(frame, { width: SIDE, height: SIDE, format: AV_PIX_FMT_RGB24 });
  FFmpegError.throwIfError(frame.getBuffer(), 'allocate a picture');
  const [pixels] = frame.data!;
  const stride = frame.linesize[0]!;
  for (let y = 0; y < SIDE; y++) pixels!.set(rgb.subarray(y * SIDE * 3, (y + 1) * SIDE * 3), y * stride);
  return frame;
}

/** NaN when a value is missing or no number, which no comparison accepts. */
function maxDifference(found: Float32Array, expected: Float32Array): number {
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (found[i] ?? Number.NaN))), 0);
}
