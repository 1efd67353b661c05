import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadManifest } from '../../models/manifest.ts';
import { temporaryFolder } from './temporary-folder.ts';

const RECOGNISER_INPUT = loadManifest(undefined, ['recogniser'])[0]!.input;

test('the project’s manifest names its detectors, each by address or package and checksum', () => {
  const models = loadManifest();
  expect(models.map(({ name, family, licence }) => [name, family, licence])).toEqual([
    ['yunet-n', 'yunet', 'Apache-2.0'],
    ['ssd-mobilenet-v1', 'ssd-mobilenet-v1', 'MIT'],
    ['tiny-face', 'tiny-face', 'MIT'],
  ]);
});

test.each([
  { wrong: { file: '../../etc/passwd' }, field: 'models.0.file' },
  { wrong: { sha256: 'abc' }, field: 'models.0.sha256' },
  { wrong: { bytes: 0 }, field: 'models.0.bytes' },
  { wrong: { family: 'unheard-of' }, field: 'models.0.family' },
  { wrong: { source: { type: 'url', url: 'file:///etc/passwd' } }, field: 'models.0.source.url' },
])('an entry with a wrong $field is refused by file and field', async ({ wrong, field }) => {
  const path = join(await temporaryFolder(), 'manifest.json');
  await writeFile(path, JSON.stringify({ models: [{ ...loadManifest()[0], ...wrong }] }));
  const refused = { code: 'invalid-manifest', message: expect.stringContaining(`${path}: ${field}: `) };
  expect(() => loadManifest(path)).toThrow(expect.objectContaining(refused));
});

test('a manifest that is absent or no JSON is refused by name', async () => {
  const path = join(await temporaryFolder(), 'manifest.json');
  const refused = { code: 'invalid-manifest', message: expect.stringContaining(path) };
  expect(() => loadManifest(path)).toThrow(expect.objectContaining(refused));
  await writeFile(path, '{');
  expect(() => loadManifest(path)).toThrow(expect.objectContaining(refused));
});

/** The recogniser's entry, with something wrong in it. */
async function recogniserWith(wrong: object): Promise<string> {
  const path = join(await temporaryFolder(), 'manifest.json');
  const [entry] = loadManifest(undefined, ['recogniser']);
  await writeFile(path, JSON.stringify({ models: [{ ...entry, ...wrong }] }));
  return path;
}

test.each([
  { wrong: { thresholds: { accept: 0.5, reject: 0.6 } }, field: 'models.0.thresholds' },
  { wrong: { thresholds: { accept: 1.2, reject: 0.6 } }, field: 'models.0.thresholds.accept' },
  { wrong: { thresholds: { accept: 0.5, reject: 0.4, track: 0.45 } }, field: 'models.0.thresholds' },
  { wrong: { thresholds: undefined }, field: 'models.0.thresholds' },
  { wrong: { outputs: { embedding: 'embedding', dimension: 127 } }, field: 'models.0.outputs.dimension' },
  { wrong: { chip: [[1, 2]] }, field: 'models.0.chip' },
  { wrong: { kind: 'detector' }, field: 'models.0.kind' },
  { wrong: { input: { ...RECOGNISER_INPUT, size: { multipleOf: 32 } } }, field: 'models.0.input.size' },
])('a recogniser with a wrong $field is refused by file and field', async ({ wrong, field }) => {
  const path = await recogniserWith(wrong);
  const refused = { code: 'invalid-manifest', message: expect.stringContaining(`${path}: ${field}`) };
  expect(() => loadManifest(path)).toThrow(expect.objectContaining(refused));
});

test('a recogniser that a user brings takes NHWC, a geometry and thresholds of its own', async () => {
  const chip = [
    [54, 74],
    [105, 74],
    [80, 102],
    [59, 132],
    [101, 132],
  ];
  const input = { ...RECOGNISER_INPUT, layout: 'NHWC', size: { width: 160, height: 160 } };
  const thresholds = { accept: 0.4, reject: 0.25 };
  const path = await recogniserWith({
    name: 'facenet',
    family: 'facenet',
    source: { type: 'file' },
    input,
    chip,
    thresholds,
  });
  expect(loadManifest(path, ['recogniser'])).toMatchObject([{ name: 'facenet', chip, thresholds, input }]);
  expect(loadManifest(path)).toEqual([]);
});
