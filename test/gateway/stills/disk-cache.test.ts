import { createSecretKey, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Vault } from '../../../gateway/secrets/vault.ts';
import { DiskCache, type DiskCacheOptions } from '../../../gateway/stills/disk-cache.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

const HOUR_MS = 3_600_000;
const always = () => true;
const parent = temporaryFolder();
const vault = newVault();
let folders = 0;

function newVault(): Vault {
  return new Vault(createSecretKey(randomBytes(32)));
}

function newFolder(): string {
  return join(parent, String(folders++), 'stills');
}

function open(folder: string, options: Partial<DiskCacheOptions> = {}): Promise<DiskCache> {
  return DiskCache.open({ folder, vault, ttlMs: HOUR_MS, maxBytes: 1_000_000, maxEntries: 100, ...options });
}

const key = (subject: string, question = 'embed') => ({ subject, question });
const entriesOf = (folder: string) => readdirSync(folder).filter((name) => name !== 'key');

test('what was set is there again after a restart, and nothing of it can be read in the folder', async () => {
  const folder = newFolder();
  const cache = await open(folder);
  await cache.set(key('photo-hash'), '{"embedding":[0.25,0.5]}', always);
  await cache.close();
  const again = await open(folder);
  expect(await again.get(key('photo-hash'))).toMatchObject({ text: '{"embedding":[0.25,0.5]}' });
  expect(await again.get(key('photo-hash', 'detect'))).toBeNull();
  expect(await again.get(key('other-hash'))).toBeNull();
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name)).toString('latin1');
    for (const part of ['embedding', '0.25', 'photo-hash', 'embed']) {
      expect(bytes).not.toContain(part);
      expect(name).not.toContain(part);
    }
    expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
  }
  expect(statSync(folder).mode & 0o077).toBe(0);
});

test('the name of an entry is another one with another key', async () => {
  const names = await Promise.all(
    [newFolder(), newFolder()].map(async (folder) => {
      await (await open(folder)).set(key('same'), 'text', always);
      return entriesOf(folder)[0];
    }),
  );
  expect(names[0]).not.toBe(names[1]);
});

test('a vault of another key erases what it can not open', async () => {
  const folder = newFolder();
  await (await open(folder)).set(key('a'), 'text', always);
  expect(entriesOf(folder)).toHaveLength(1);
  const other = await open(folder, { vault: newVault() });
  expect(await other.get(key('a'))).toBeNull();
  expect(entriesOf(folder)).toEqual([]);
  await other.set(key('a'), 'new text', always);
  expect(await other.get(key('a'))).toMatchObject({ text: 'new text' });
});

test.each([
  ['damaged', (path: string) => writeFileSync(path, readFileSync(path).fill(1, 20, 24))],
  ['cut off', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 20))],
  ['empty', (path: string) => writeFileSync(path, '')],
])('an entry that is %s counts as none and goes', async (_, harm) => {
  const folder = newFolder();
  const cache = await open(folder);
  await cache.set(key('a'), 'text', always);
  harm(join(folder, entriesOf(folder)[0]!));
  expect(await cache.get(key('a'))).toBeNull();
  expect(entriesOf(folder)).toEqual([]);
  expect(cache.size).toEqual({ entries: 0, bytes: 0 });
});

test('an entry that took another’s name opens for neither', async () => {
  const folder = newFolder();
  const cache = await open(folder);
  await cache.set(key('a'), 'of a', always);
  const [nameOfA] = entriesOf(folder);
  await cache.set(key('b'), 'of b', always);
  const nameOfB = entriesOf(folder).find((name) => name !== nameOfA)!;
  writeFileSync(join(folder, nameOfB), readFileSync(join(folder, nameOfA!)));
  expect(await cache.get(key('b'))).toBeNull();
});

test('the oldest go where there is no room, and none may be larger than all', async () => {
  const folder = newFolder();
  const cache = await open(folder, { maxBytes: 1000, maxEntries: 3 });
  for (const subject of ['a', 'b', 'c', 'd']) await cache.set(key(subject), 'x'.repeat(100), always);
  expect(await cache.get(key('a'))).toBeNull();
  expect(cache.size.entries).toBe(3);
  await cache.set(key('e'), 'x'.repeat(700), always);
  expect(await cache.get(key('b'))).toBeNull();
  expect(await cache.get(key('c'))).not.toBeNull();
  await cache.set(key('f'), 'x'.repeat(1000), always);
  expect(await cache.get(key('f'))).toBeNull();
  expect(await cache.get(key('e'))).not.toBeNull();
  const bytes = entriesOf(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  expect(cache.size).toEqual({ entries: entriesOf(folder).length, bytes });
});

test('what is past its time is not given, goes when swept, and is not taken up again', async () => {
  const folder = newFolder();
  const cache = await open(folder, { ttlMs: 1 });
  await cache.set(key('a'), 'text', always);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await cache.get(key('a'))).toBeNull();
  expect(entriesOf(folder)).toHaveLength(1);
  await cache.sweep();
  expect(entriesOf(folder)).toEqual([]);

  const longer = await open(folder);
  await longer.set(key('b'), 'text', always);
  const path = join(folder, entriesOf(folder)[0]!);
  const old = (Date.now() - 2 * HOUR_MS) / 1000;
  utimesSync(path, old, old);
  await open(folder);
  expect(entriesOf(folder)).toEqual([]);
});

test('a subject is erased with all that was answered about it, others stay', async () => {
  const folder = newFolder();
  const cache = await open(folder);
  await cache.set(key('a', 'detect'), '1', always);
  await cache.set(key('a', 'embed'), '2', always);
  await cache.set(key('b', 'embed'), '3', always);
  await cache.erase('a');
  expect(entriesOf(folder)).toHaveLength(1);
  expect(await cache.get(key('b'))).toMatchObject({ text: '3' });
  await cache.eraseAll();
  expect(entriesOf(folder)).toEqual([]);
});

test('what is no longer wanted when its turn comes is not written', async () => {
  const folder = newFolder();
  const cache = await open(folder);
  let isWanted = true;
  const setting = cache.set(key('a'), 'text', () => isWanted);
  isWanted = false;
  await setting;
  expect(entriesOf(folder)).toEqual([]);
});

test('what a write left behind that was cut short goes, and what is not ours stays', async () => {
  const folder = newFolder();
  await open(folder);
  writeFileSync(join(folder, `${'0'.repeat(32)}-${'0'.repeat(32)}.unfinished`), 'x');
  writeFileSync(join(folder, 'notes.txt'), 'x');
  await open(folder);
  expect(readdirSync(folder).toSorted()).toEqual(['key', 'notes.txt']);
});
