import { hash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import type { openDetector } from '../../inference/detect/open-detector.ts';
import { convertModel, packageFolder } from '../../models/convert.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { findModel, loadManifest, type ModelEntry, type NpmSource } from '../../models/manifest.ts';
import { resolveModel, resolveModelOf, resolveRecogniser } from '../../models/resolve.ts';
import { FIVE_PEOPLE, FOUR_PEOPLE } from '../clips/face-photo.ts';
import { FaceApiReference } from './face-api-reference.ts';
import { temporaryFolder } from './temporary-folder.ts';

type Net = ModelEntry<'recogniser' | 'landmarks' | 'attributes'>;
type Outputs = Record<string, Float32Array>;

/** The same float32 weights in sums of another order, folded where a scale follows: seen up to 3e-7, of the age 8e-6. */
const MAX_DIFFERENCE = { embedding: 2e-6, landmarks: 2e-6, expressions: 2e-6, gender: 2e-6, age: 5e-5 };
const REFERENCE_TIMEOUT_MS = 180_000;

const NETS = loadManifest(undefined, ['recogniser', 'landmarks', 'attributes'] as const);
let reference: FaceApiReference;
beforeAll(async () => {
  reference = await FaceApiReference.load();
}, REFERENCE_TIMEOUT_MS);

/** What the package's own net gives, by the names that the converted graph uses. */
const OWN: Record<string, (rgb: Uint8Array) => Promise<Outputs>> = {
  'face-recogniser': async (rgb) => ({ embedding: await reference.embedding(rgb) }),
  'landmarks-68': async (rgb) => ({ landmarks: await reference.landmarks(rgb) }),
  expression: async (rgb) => ({ expressions: await reference.expressions(rgb) }),
  'age-gender': (rgb) => reference.ageAndGender(rgb).then(({ age, gender }) => ({ age, gender })),
};

/** Four faces of two photos, each cut out and squeezed to a square, as interleaved RGB. */
async function faces(side: number): Promise<Buffer[]> {
  const crops = [FIVE_PEOPLE, FOUR_PEOPLE].flatMap(({ path, boxes }) =>
    boxes
      .slice(0, 2)
      .map(([left, top, width, height]) =>
        sharp(path)
          .extract({ left, top, width, height })
          .resize(side, side, { fit: 'fill' })
          .removeAlpha()
          .raw()
          .toBuffer(),
      ),
  );
  return Promise.all(crops);
}

/** As the manifest says that the graph is fed. */
function fed({ input }: Net, rgb: Uint8Array): Float32Array {
  const area = rgb.length / 3;
  return Float32Array.from({ length: rgb.length }, (_, i) => {
    const plane = Math.floor(i / area);
    return (rgb[(i % area) * 3 + plane]! - input.mean[plane]!) * input.scale;
  });
}

test('the manifest names the nets of single faces, apart from the detectors', () => {
  expect(NETS.map(({ name, kind, licence }) => [name, kind, licence])).toEqual([
    ['face-recogniser', 'recogniser', 'MIT'],
    ['landmarks-68', 'landmarks', 'MIT'],
    ['age-gender', 'attributes', 'MIT'],
    ['expression', 'attributes', 'MIT'],
  ]);
  expect(loadManifest().filter(({ name }) => NETS.some((net) => net.name === name))).toEqual([]);
});

test('a net is no detector, and a detector no recogniser', async () => {
  // @ts-expect-error: openDetector takes detectors only.
  const _taken: Parameters<typeof openDetector>[0] = findModel(NETS, 'face-recogniser');
  const cacheDir = await temporaryFolder();
  const refused = { code: 'unknown-model' };
  await expect(resolveModel('face-recogniser', { cacheDir })).rejects.toMatchObject(refused);
  await expect(resolveModelOf('recogniser', 'ssd-mobilenet-v1', { cacheDir })).rejects.toMatchObject(refused);
  await expect(resolveModelOf('recogniser', 'landmarks-68', { cacheDir })).rejects.toMatchObject(refused);
});

test('the recogniser is face-api’s unless FACEBLUR_RECOGNISER names another, which must be one', async () => {
  const cacheDir = await temporaryFolder();
  expect((await resolveRecogniser({ cacheDir })).entry.name).toBe('face-recogniser');
  const { recogniser } = defaultModelLocations({ FACEBLUR_RECOGNISER: 'yunet-n' });
  const refused = { code: 'unknown-model', message: expect.stringMatching(/^FACEBLUR_RECOGNISER: .*yunet-n/) };
  await expect(resolveRecogniser({ cacheDir, recogniser })).rejects.toMatchObject(refused);
  expect(defaultModelLocations({ FACEBLUR_RECOGNISER: '' })).not.toHaveProperty('recogniser');
});

test.each(NETS.map((entry) => [entry.name, entry] as const))(
  '%s: converting gives the bytes that the manifest names, kept in the cache',
  async (name, entry) => {
    const source = entry.source as NpmSource;
    const fresh = await convertModel(entry, source, packageFolder(source));
    expect([fresh.length, hash('sha256', fresh, 'hex')]).toEqual([entry.bytes, entry.sha256]);
    const cacheDir = await temporaryFolder();
    expect((await resolveModelOf(entry.kind, name, { cacheDir })).origin).toBe('converted');
    expect(await readdir(cacheDir)).toEqual([entry.file]);
    expect((await resolveModelOf(entry.kind, name, { cacheDir })).origin).toBe('cache');
  },
);

test.each(Object.keys(OWN))(
  '%s: the converted graph gives face-api’s own values on real faces, alone and in a batch',
  async (name) => {
    const entry = findModel(NETS, name);
    const { width: side } = entry.input.size;
    const source = entry.source as NpmSource;
    const session = await InferenceSession.create(await convertModel(entry, source, packageFolder(source)));
    const crops = await faces(side);
    const tensors = crops.map((rgb) => fed(entry, rgb));
    const batch = new Float32Array(tensors.flatMap((values) => [...values]));
    const together = await session.run({ face: new Tensor('float32', batch, [crops.length, 3, side, side]) });
    for (const [i, rgb] of crops.entries()) {
      const alone = await session.run({ face: new Tensor('float32', tensors[i]!, [1, 3, side, side]) });
      for (const [output, expected] of Object.entries(await OWN[name]!(rgb))) {
        const { data, dims } = alone[output]!;
        expect(dims).toEqual([1, expected.length]);
        const difference = maxDifference(data as Float32Array, expected);
        console.log(`${name}, face ${i}: ${output} differs by ${difference}`);
        const most = MAX_DIFFERENCE[output as keyof typeof MAX_DIFFERENCE];
        expect(difference).toBeLessThan(most);
        const row = (together[output]!.data as Float32Array).slice(i * expected.length, (i + 1) * expected.length);
        expect(maxDifference(row, expected)).toBeLessThan(most);
        // Another face gives something else, so the comparison can fail.
        expect(Math.max(...expected.map((value) => Math.abs(value)))).toBeGreaterThan(100 * most);
      }
    }
    await session.release();
  },
  REFERENCE_TIMEOUT_MS,
);

/** NaN when a value is missing or no number, which no comparison accepts. */
function maxDifference(found: Float32Array, expected: Float32Array): number {
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (found[i] ?? Number.NaN))), 0);
}
