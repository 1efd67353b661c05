import { spawn, spawnSync } from 'node:child_process';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyPrefix, objectKey } from '../../../recorder/store/keys.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import { bytesOf, openLocal } from './stores.ts';

const MIB = 1024 ** 2;
const TEXT = { contentType: 'text/plain' };
const KEY = objectKey('original', 'owner', 'video');
const KILLS = 6;

let keeper: Awaited<ReturnType<typeof openLocal>>;
let store: LocalStore;
beforeEach(async () => {
  keeper = await openLocal();
  store = keeper.store;
});
afterEach(() => keeper.close());

const open = (options: Partial<Parameters<typeof LocalStore.open>[0]> = {}) =>
  LocalStore.open({
    folder: keeper.folder,
    signingKey: createSecretKey(randomBytes(32)),
    baseUrl: '',
    ...options,
  });
const files = async (folder = keeper.folder) =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).map((entry) => join(entry.parentPath, entry.name));
const textOf = async (key: string) => (await bytesOf((await store.get(key)).stream)).toString();

test('nobody else on the machine reads it', async () => {
  await store.put(KEY, Buffer.from('text'), TEXT);
  await store.createMultipart(KEY, TEXT);
  const paths = await files();
  expect(paths.length).toBeGreaterThan(5);
  for (const path of [keeper.folder, ...paths]) expect((await stat(path)).mode & 0o077, path).toBe(0);
});

test('what is deleted leaves no file and no folder', async () => {
  await store.put(KEY, Buffer.from('text'), TEXT);
  await store.put(objectKey('original', 'owner', 'other', 'a'), Buffer.from('text'), TEXT);
  await store.delete(KEY);
  await store.deletePrefix(keyPrefix('original', 'owner', 'other'));
  expect(await files()).toEqual([]);
});

test('a reader goes on in what it began with, while that is replaced and deleted', async () => {
  const bytes = randomBytes(4 * MIB);
  await store.put(KEY, bytes, TEXT);
  const [first, second] = [await store.get(KEY), await store.get(KEY)];
  await store.put(KEY, Buffer.from('another'), TEXT);
  expect((await bytesOf(first.stream)).equals(bytes)).toBe(true);
  await store.delete(KEY);
  expect((await bytesOf(second.stream)).equals(bytes)).toBe(true);
});

test('puts, reads and deletions at once see whole objects, and leave whole objects', async () => {
  const key = (i: number) => objectKey('temp', 'owner', `folder-${i % 3}`, `object-${i % 5}`);
  const text = (i: number) => `${i} `.repeat(1000);
  const read = async (i: number) => {
    const found = await store.head(key(i));
    if (!found) return;
    const { stream, head } = await store.get(key(i)).catch((error) => {
      if (error.code === 'object-not-found') return { stream: null, head: null };
      throw error;
    });
    if (stream)
      expect(
        createHash('sha256')
          .update(await bytesOf(stream))
          .digest('hex'),
      ).toBe(head.sha256);
  };
  const work = Array.from({ length: 300 }, async (_, i) => {
    if (i % 7 === 0) await store.delete(key(i));
    else if (i % 2) await store.put(key(i), Buffer.from(text(i)), TEXT);
    else await read(i);
  });
  await Promise.all(work);
  const { items } = await store.list(keyPrefix('temp', 'owner'));
  for (const item of items) expect(await textOf(item.key)).toMatch(/^(\d+ )\1{999}$/);
  await store.sweep(new Date(Date.now() + 1000));
  expect(await keeper.leftovers()).toEqual([]);
  expect((await store.list(keyPrefix('temp', 'owner'))).items).toEqual(items);
});

test('a process that is killed at any point leaves the object before or the one after, and nothing once swept', async () => {
  const script = join(import.meta.dirname, 'endless-puts.ts');
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, [script, keeper.folder, KEY], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    await sleep(Math.random() * 100);
    child.kill('SIGKILL');
    await ended;
    const { stream, head } = await store.get(KEY);
    const bytes = await bytesOf(stream);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(head.sha256);
    await store.sweep(new Date(Date.now() + 1000));
    expect(await keeper.leftovers()).toEqual([]);
    expect((await files()).filter((path) => path.includes('@uploads/'))).toEqual([]);
  }
});

test('what is under way is not swept', async () => {
  const go = Promise.withResolvers<void>();
  const slow = async function* () {
    yield Buffer.from('some ');
    await go.promise;
    yield Buffer.from('text');
  };
  const putting = store.put(KEY, slow(), TEXT);
  await expect.poll(async () => (await files()).length).toBeGreaterThan(2);
  expect(await store.sweep(new Date(Date.now() - 60_000))).toBe(0);
  go.resolve();
  await putting;
  expect(await textOf(KEY)).toBe('some text');
});

test('what a killed process left is swept after an hour, and before an upload that waits for its client', async () => {
  const upload = await store.createMultipart(KEY, TEXT);
  await store.put(KEY, Buffer.from('text'), TEXT);
  const data = (await files()).find((path) => /@[0-9a-f]{32}$/.test(path))!;
  const left = [`${data.slice(0, -32)}${'0'.repeat(32)}`, `${data}.meta`];
  for (const path of left) await writeFile(path, '');
  const yesterday = new Date(Date.now() - 24 * 3_600_000);
  expect(await store.sweep(yesterday)).toBe(0);
  const [recent, old] = [new Date(Date.now() - 3_500_000), new Date(Date.now() - 3_700_000)];
  for (const path of left) await utimes(path, recent, recent);
  expect(await store.sweep(yesterday)).toBe(0);
  for (const path of [...left, data]) await utimes(path, old, old);
  await utimes(join(keeper.folder, '@uploads', upload), old, old);
  expect(await store.sweep(yesterday)).toBe(2);
  expect((await files()).filter((path) => left.includes(path))).toEqual([]);
  expect(await textOf(KEY)).toBe('text');
  expect(await files(join(keeper.folder, '@uploads'))).toHaveLength(2);
});

test('where the disk is short nothing is begun, and what is there can be read and deleted', async () => {
  await store.put(KEY, Buffer.from('text'), TEXT);
  const id = await store.createMultipart(KEY, TEXT);
  const short = await open({ reservedBytes: Number.MAX_SAFE_INTEGER });
  const full = { code: 'storage-full' };
  await expect(short.put(KEY, Buffer.from('more'), TEXT)).rejects.toMatchObject(full);
  const grant = { method: 'PUT', key: KEY, expires: 0, size: 4 } as const;
  const { signal } = new AbortController();
  const body = async function* () {
    yield Buffer.from('more');
  };
  await expect(short.putGranted(grant, body(), signal)).rejects.toMatchObject(full);
  await expect(short.putGranted({ ...grant, upload: id, part: 1 }, body(), signal)).rejects.toMatchObject(full);
  await expect(short.check()).rejects.toMatchObject(full);
  expect(await textOf(KEY)).toBe('text');
  await short.delete(KEY);
});

/** Of a file system that has room for little: only root may make one. */
const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

test.skipIf(!canMount)('a disk that gets full in the middle is said to be, and the half is gone', async (context) => {
  const folder = join(keeper.folder, '@disk');
  await mkdir(folder);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.status !== 0) return context.skip(`no file system can be mounted here: ${mounted.stderr.trim()}`);
  try {
    const small = await open({ folder: join(folder, 'objects'), reservedBytes: 0 });
    await small.put(KEY, Buffer.from('text'), TEXT);
    const large = async function* () {
      for (let i = 0; i < 20; i++) yield randomBytes(MIB);
    };
    const full = { code: 'storage-full', message: 'the disk that objects are kept on is full' };
    await expect(small.put(KEY, large(), TEXT)).rejects.toMatchObject(full);
    const upload = await small.createMultipart(KEY, TEXT);
    const grant = { method: 'PUT', key: KEY, expires: 0, size: 20 * MIB, upload, part: 1 } as const;
    await expect(small.putGranted(grant, large(), new AbortController().signal)).rejects.toThrow();
    await small.abortMultipart(KEY, upload);
    expect((await bytesOf((await small.get(KEY)).stream)).toString()).toBe('text');
    await small.put(objectKey('temp', 'owner', 'b'), randomBytes(6 * MIB), TEXT);
  } finally {
    spawnSync('umount', [folder]);
  }
});

test('damage on the disk is told, and a new put mends it', async () => {
  await store.put(KEY, Buffer.from('some text'), TEXT);
  const data = (await files()).find((path) => /@[0-9a-f]{32}$/.test(path))!;
  const { sha256 } = (await store.head(KEY))!;
  await truncate(data, 4);
  const { stream } = await store.get(KEY, { sha256: sha256! });
  await expect(bytesOf(stream)).rejects.toMatchObject({ code: 'incomplete' });
  await rm(data);
  await expect(store.get(KEY)).rejects.toMatchObject({ code: 'checksum-mismatch' });
  const meta = (await files()).find((path) => path.endsWith('@meta'))!;
  for (const text of ['', '{"version":1', '{"version":1,"data":"../../../etc/passwd","size":1}']) {
    await writeFile(meta, text);
    await expect(store.get(KEY)).rejects.toMatchObject({
      code: 'checksum-mismatch',
      message: 'what is kept of this object is damaged',
    });
  }
  await store.put(KEY, Buffer.from('again'), TEXT);
  expect(await textOf(KEY)).toBe('again');
});

test('addresses hold in every process that has the key, and in none that has another', async () => {
  const signingKey = createSecretKey(randomBytes(32));
  const [one, two, other] = [await open({ signingKey }), await open({ signingKey }), await open()];
  const { url } = await one.signGet(KEY, { expiresInSeconds: 60 });
  const { pathname, search } = new URL(url, 'http://localhost');
  expect(pathname).toBe(`/objects/${KEY}`);
  const verified = (by: LocalStore) => by.verify('GET', KEY, search.slice(1));
  expect(verified(two)).toMatchObject({ method: 'GET', key: KEY });
  expect(verified(other)).toBeNull();
  // The last of 43 digits stands for four bits: three other ones would mean the same bytes.
  for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
    const forged = search.slice(1, -1) + digit;
    expect(one.verify('GET', KEY, forged) !== null).toBe(search.endsWith(digit));
  }
  const until = await open({ signingKey, baseUrl: 'https://live.example.com/gateway' });
  expect((await until.signGet(KEY, { expiresInSeconds: 60 })).url).toMatch(
    /^https:\/\/live\.example\.com\/gateway\/objects\//,
  );
  for (const seconds of [0, -1, 1.5, 604_801]) {
    await expect(one.signGet(KEY, { expiresInSeconds: seconds })).rejects.toThrow(RangeError);
  }
});
