import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ModelError } from '../../models/errors.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { resolveDetector, resolveModel } from '../../models/resolve.ts';
import { placeYunet, SSD_BYTES, smallModels, YUNET_BYTES } from './small-models.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The three folders, not made yet, below a new temporary one. */
async function emptyPlaces() {
  const root = await temporaryFolder();
  const places = { cacheDir: join(root, 'cache'), modelsDir: join(root, 'mine'), sharedDir: join(root, 'shared') };
  return { ...places, models: smallModels(), allowDownload: false };
}

test('the cache comes before the models folder, and that before the shared one', async () => {
  const places = await emptyPlaces();
  const found: string[] = [];
  for (const folder of ['sharedDir', 'modelsDir', 'cacheDir'] as const) {
    const path = await placeYunet(places[folder]);
    const resolved = await resolveModel('yunet-n', places);
    expect(resolved.path).toBe(path);
    expect(Buffer.compare(resolved.bytes, YUNET_BYTES)).toBe(0);
    found.push(resolved.origin);
  }
  expect(found).toEqual(['shared', 'models-dir', 'cache']);
});

test('a file outside the cache is used in place, not copied', async () => {
  const places = await emptyPlaces();
  await placeYunet(places.modelsDir);
  await resolveModel('yunet-n', places);
  await expect(readdir(places.cacheDir)).rejects.toThrow('ENOENT');
});

test.each(['cacheDir', 'modelsDir', 'sharedDir'] as const)(
  'a truncated or changed file in %s is refused by name, although later places have a good one',
  async (bad) => {
    const places = await emptyPlaces();
    for (const folder of ['cacheDir', 'modelsDir', 'sharedDir'] as const) {
      if (folder === bad) break;
      await mkdir(places[folder]);
    }
    await placeYunet(places.sharedDir);
    const path = await placeYunet(places[bad], YUNET_BYTES.subarray(0, 20));
    const truncated = await resolveModel('yunet-n', places).catch((error: unknown) => error);
    expect(truncated).toBeInstanceOf(ModelError);
    expect(truncated).toMatchObject({ code: 'truncated' });
    expect((truncated as ModelError).message).toContain(`${path} is truncated: found 20 bytes, expected 60. `);

    const changed = Buffer.from(YUNET_BYTES);
    changed[3] ^= 1;
    await placeYunet(places[bad], changed);
    const mismatch = await resolveModel('yunet-n', places).catch((error: unknown) => error);
    expect(mismatch).toMatchObject({ code: 'checksum-mismatch' });
    const { message } = mismatch as ModelError;
    expect(message).toContain(`${path} has a wrong sha256: found `);
    expect(message).toContain(`expected ${places.models[0]?.sha256}`);
    expect(message).toMatch(bad === 'cacheDir' ? /Delete it/ : /set FACEBLUR_MODELS_DIR/);
  },
);

test('a file longer than expected is refused', async () => {
  const places = await emptyPlaces();
  await placeYunet(places.cacheDir, Buffer.concat([YUNET_BYTES, Buffer.from('more')]));
  await expect(resolveModel('yunet-n', places)).rejects.toMatchObject({ code: 'checksum-mismatch' });
});

test('an empty file is truncated, not absent', async () => {
  const places = await emptyPlaces();
  await placeYunet(places.cacheDir, Buffer.alloc(0));
  await expect(resolveModel('yunet-n', places)).rejects.toMatchObject({ code: 'truncated' });
});

test('a folder in the place of the file is refused by name', async () => {
  const places = await emptyPlaces();
  await mkdir(join(places.modelsDir, 'yunet_n_dynamic.onnx'), { recursive: true });
  const refused = expect(resolveModel('yunet-n', places)).rejects;
  await refused.toMatchObject({ code: 'unreadable', message: expect.stringContaining('yunet_n_dynamic.onnx') });
});

test('a model that no place has is not found, and the message names the places', async () => {
  const places = await emptyPlaces();
  const error = await resolveModel('yunet-n', places).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'not-found' });
  for (const folder of [places.cacheDir, places.modelsDir, places.sharedDir, 'downloads are off']) {
    expect((error as ModelError).message).toContain(folder);
  }
});

test('a name that the manifest lacks is refused with those it has', async () => {
  const refused = expect(resolveModel('yunet-x', await emptyPlaces())).rejects;
  await refused.toMatchObject({ code: 'unknown-model', message: expect.stringContaining('yunet-n, ssd-mobilenet-v1') });
});

test('an aborted signal rejects with its reason', async () => {
  const places = await emptyPlaces();
  await placeYunet(places.cacheDir);
  const signal = AbortSignal.abort(new Error('stopped'));
  await expect(resolveModel('yunet-n', { ...places, signal })).rejects.toThrow('stopped');
});

test('the detector is YuNet, without a warning, where it is', async () => {
  const places = await emptyPlaces();
  await placeYunet(places.sharedDir);
  const warnings: string[] = [];
  const { entry } = await resolveDetector(places, (message) => warnings.push(message));
  expect(entry.name).toBe('yunet-n');
  expect(warnings).toEqual([]);
});

test('without YuNet the detector is SSD-MobileNetV1, with exactly one warning of one line', async () => {
  const places = await emptyPlaces();
  await mkdir(places.cacheDir);
  await writeFile(join(places.cacheDir, 'ssd-mobilenet-v1.onnx'), SSD_BYTES);
  const warnings: string[] = [];
  const { entry } = await resolveDetector(places, (message) => warnings.push(message));
  expect(entry.name).toBe('ssd-mobilenet-v1');
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/^yunet_n_dynamic\.onnx is in none of .* Using ssd-mobilenet-v1 instead/);
  expect(warnings[0]).not.toContain('\n');
});

test('a corrupt YuNet is an error, not a reason to fall back', async () => {
  const places = await emptyPlaces();
  await mkdir(places.cacheDir);
  await writeFile(join(places.cacheDir, 'ssd-mobilenet-v1.onnx'), SSD_BYTES);
  await placeYunet(places.modelsDir, YUNET_BYTES.subarray(1));
  const warnings: string[] = [];
  const resolving = resolveDetector(places, (message) => warnings.push(message));
  await expect(resolving).rejects.toMatchObject({ code: 'truncated' });
  expect(warnings).toEqual([]);
});

test('the default places follow XDG_CACHE_HOME and FACEBLUR_MODELS_DIR; empty and relative values count as unset', () => {
  const set = defaultModelLocations({ HOME: '/home/a', XDG_CACHE_HOME: '/var/cache/a', FACEBLUR_MODELS_DIR: '/srv/m' });
  expect(set).toMatchObject({ cacheDir: '/var/cache/a/faceblur/models', modelsDir: '/srv/m' });
  expect(set.sharedDir).toBe(join(import.meta.dirname, '..', '..', '..', 'shared', 'models'));
  for (const cacheHome of [undefined, '', 'relative']) {
    const unset = defaultModelLocations({ HOME: '/home/a', XDG_CACHE_HOME: cacheHome, FACEBLUR_MODELS_DIR: '' });
    expect(unset.cacheDir).toBe('/home/a/.cache/faceblur/models');
    expect(unset.modelsDir).toBeUndefined();
  }
});
