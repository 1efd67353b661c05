import { hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadManifest, loadModels } from '../../models/manifest.ts';
import { resolveDetector, resolveModel } from '../../models/resolve.ts';
import { placeYunet, YUNET_BYTES } from './small-models.ts';
import { temporaryFolder } from './temporary-folder.ts';

const BYTES = Buffer.from('stands for the user’s own SCRFD');

/** What a user writes for InsightFace's SCRFD. */
const SCRFD = {
  name: 'scrfd-10g',
  kind: 'detector',
  family: 'scrfd',
  file: 'det_10g.onnx',
  bytes: BYTES.length,
  sha256: hash('sha256', BYTES, 'hex'),
  licence: 'LicenseRef-InsightFace-non-commercial',
  source: { type: 'file' },
  input: {
    tensor: 'input.1',
    layout: 'NCHW',
    channels: 'RGB',
    mean: [127.5, 127.5, 127.5],
    scale: 0.0078125,
    size: { multipleOf: 32 },
  },
  outputs: { scores: ['448', '471', '494'], boxes: ['451', '474', '497'], kps: ['454', '477', '500'] },
};

/** A folder of the user's own with a manifest. */
async function brought(models: readonly object[], name = 'mine'): Promise<{ modelsDir: string; cacheDir: string }> {
  const root = await temporaryFolder();
  const modelsDir = join(root, name);
  await mkdir(modelsDir);
  await writeFile(join(modelsDir, 'manifest.json'), JSON.stringify({ models }));
  return { modelsDir, cacheDir: join(root, 'cache') };
}

test('a user’s manifest adds to the project’s, with what it leaves out filled in', async () => {
  const { modelsDir } = await brought([SCRFD]);
  const models = loadModels(modelsDir);
  expect(models.map(({ name }) => name)).toEqual([...loadManifest().map(({ name }) => name), 'scrfd-10g']);
  expect(models.at(-1)).toEqual({ ...SCRFD, outputs: { strides: [8, 16, 32], anchorsPerCell: 2, ...SCRFD.outputs } });
});

test('an entry of the user’s takes the place of one of the project’s that has its name', async () => {
  const { modelsDir } = await brought([{ ...SCRFD, name: 'yunet-n' }]);
  const models = loadModels(modelsDir);
  expect(models).toHaveLength(loadManifest().length);
  expect(models.find(({ name }) => name === 'yunet-n')?.family).toBe('scrfd');
});

test('a folder without a manifest, or none, leaves the project’s models', async () => {
  expect(loadModels(await temporaryFolder())).toEqual(loadManifest());
  expect(loadModels('/nonexistent')).toEqual(loadManifest());
  expect(loadModels()).toEqual(loadManifest());
});

test.each([
  ['a path out of the folder', { file: '../det_10g.onnx' }, 'models.0.file'],
  ['a hidden file', { file: '.onnx' }, 'models.0.file'],
  ['a name with a line break', { name: 'a\nb' }, 'models.0.name'],
  ['a field that is none', { threshold: 0.5 }, 'Unrecognized key'],
  ['a field of the outputs that is none', { outputs: { ...SCRFD.outputs, obj: ['1'] } }, 'models.0.outputs'],
  [
    'a level without its tensor',
    { outputs: { ...SCRFD.outputs, kps: ['454', '477'] } },
    'one tensor for each of strides',
  ],
  ['outputs of another family', { family: 'retinaface' }, 'models.0.outputs'],
  ['an importer for a file', { source: { type: 'file', importer: 'tiny-face' } }, 'models.0.source'],
  ['a local address', { source: { type: 'url', url: 'file:///etc/passwd' } }, 'models.0.source.url'],
  ['a scale that is no number', { input: { ...SCRFD.input, scale: null } }, 'models.0.input.scale'],
  ['an absurd size', { input: { ...SCRFD.input, size: { width: 1e9, height: 1e9 } } }, 'models.0.input.size'],
  [
    'cells that its size does not fit',
    { input: { ...SCRFD.input, size: { multipleOf: 16 } } },
    'models.0.input.size.multipleOf',
  ],
])('a user’s entry with %s is refused by file and field', async (_, wrong, field) => {
  const { modelsDir, cacheDir } = await brought([{ ...SCRFD, ...wrong }]);
  const refused = expect(resolveModel('scrfd-10g', { modelsDir, cacheDir })).rejects;
  await refused.toMatchObject({ code: 'invalid-manifest', message: expect.stringContaining(field) });
  expect(() => loadModels(modelsDir)).toThrow(join(modelsDir, 'manifest.json'));
});

test('two entries of one name, and a manifest too large to be one, are refused', async () => {
  const { modelsDir } = await brought([SCRFD, SCRFD]);
  expect(() => loadModels(modelsDir)).toThrow(/scrfd-10g is there twice/);
  await writeFile(join(modelsDir, 'manifest.json'), Buffer.alloc(2 ** 20 + 1, ' '));
  expect(() => loadModels(modelsDir)).toThrow(/1048577 bytes are more than 1048576/);
});

test('a user’s file is read beside its manifest only, and is the detector when it is named', async () => {
  const places = { ...(await brought([SCRFD])), allowDownload: false, detector: 'scrfd-10g' };
  await mkdir(places.cacheDir);
  await writeFile(join(places.cacheDir, SCRFD.file), BYTES);
  const absent = { code: 'not-found', message: expect.stringContaining('Put det_10g.onnx into FACEBLUR_MODELS_DIR') };
  await expect(resolveDetector(places, () => undefined)).rejects.toMatchObject(absent);

  const path = join(places.modelsDir, SCRFD.file);
  await writeFile(path, BYTES);
  const warnings: string[] = [];
  const resolved = await resolveDetector(places, (message) => warnings.push(message));
  expect(resolved).toMatchObject({ path, origin: 'models-dir', entry: { name: 'scrfd-10g' } });
  expect(warnings).toEqual([]);

  await writeFile(path, Buffer.alloc(BYTES.length));
  const changed = { code: 'checksum-mismatch', message: expect.stringContaining(`${path} has a wrong sha256`) };
  await expect(resolveDetector(places, () => undefined)).rejects.toMatchObject(changed);
});

test('a named detector that is unknown or absent is an error, never another detector', async () => {
  const { modelsDir, cacheDir } = await brought([]);
  const resolving = (detector: string) =>
    resolveDetector({ modelsDir, cacheDir, detector, allowDownload: false }, () => undefined);
  const unknown = {
    code: 'unknown-model',
    message: expect.stringMatching(/^FACEBLUR_DETECTOR: no model is called x;/),
  };
  await expect(resolving('x')).rejects.toMatchObject(unknown);
  await expect(resolving('yunet-n')).rejects.toMatchObject({ code: 'not-found' });
  await placeYunet(modelsDir, YUNET_BYTES);
  await expect(resolving('yunet-n')).rejects.toMatchObject({ code: 'truncated' });
  await expect(resolving('tiny-face')).resolves.toMatchObject({ origin: 'converted' });
});
