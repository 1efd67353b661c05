import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadManifest } from '../../models/manifest.ts';
import { temporaryFolder } from './temporary-folder.ts';

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
