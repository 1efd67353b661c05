import { createSecretKey, randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DestinationStream, pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { Vault } from '../../../gateway/secrets/vault.ts';
import { DiskCache } from '../../../gateway/stills/disk-cache.ts';
import { MemoryCache } from '../../../gateway/stills/memory-cache.ts';
import { ResultCache } from '../../../gateway/stills/result-cache.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

const HOUR_MS = 3_600_000;
const parent = temporaryFolder();
const vault = new Vault(createSecretKey(randomBytes(32)));
let folders = 0;
const key = { subject: 'photo', question: 'embed' };

async function open(folder = join(parent, String(folders++))) {
  const logged: string[] = [];
  const sink: DestinationStream = { write: (line) => logged.push(line) };
  const bounds = { maxBytes: 10_000, maxEntries: 10, ttlMs: HOUR_MS };
  const disk = await DiskCache.open({ folder, vault, ...bounds });
  const cache = new ResultCache({ memory: new MemoryCache(bounds), disk, log: pino({ level: 'trace' }, sink) });
  return { cache, folder, logged };
}

const made = (text: string) => vi.fn(async () => ({ text, isLasting: true }));

test('what was found is found once, from memory and after a restart from disk', async () => {
  const { cache, folder } = await open();
  const make = made('found');
  expect(await cache.recall(key, make)).toEqual({ text: 'found', isHit: false });
  expect(await cache.recall(key, make)).toEqual({ text: 'found', isHit: true });
  expect(make).toHaveBeenCalledTimes(1);
  expect(cache.stats).toMatchObject({ hits: 1, misses: 1, memory: { entries: 1 }, disk: { entries: 1 } });
  await cache.close();
  const { cache: again } = await open(folder);
  expect(await again.recall(key, make)).toEqual({ text: 'found', isHit: true });
  expect(make).toHaveBeenCalledTimes(1);
  expect(again.stats).toMatchObject({ hits: 1, misses: 0, memory: { entries: 1 } });
});

test('a failure is not kept', async () => {
  const { cache } = await open();
  const failing = cache.recall(key, () => Promise.reject(new Error('no')));
  await expect(failing).rejects.toThrow('no');
  expect(await cache.recall(key, made('found'))).toEqual({ text: 'found', isHit: false });
});

test('what is not lasting is not kept', async () => {
  const { cache, folder } = await open();
  await cache.recall(key, async () => ({ text: 'found', isLasting: false }));
  expect(cache.stats).toMatchObject({ memory: { entries: 0 }, disk: { entries: 0 } });
  expect(readdirSync(folder)).toEqual(['key']);
});

test('what is erased is gone from memory and disk, also what is being found meanwhile', async () => {
  const { cache, folder } = await open();
  await cache.recall(key, made('found'));
  const finding = Promise.withResolvers<{ text: string; isLasting: boolean }>();
  const meanwhile = cache.recall({ ...key, question: 'detect' }, () => finding.promise);
  await vi.waitFor(() => expect(cache.stats.misses).toBe(2));
  await cache.erase('photo');
  finding.resolve({ text: 'late', isLasting: true });
  expect(await meanwhile).toEqual({ text: 'late', isHit: false });
  expect(cache.stats).toMatchObject({ memory: { entries: 0, bytes: 0 }, disk: { entries: 0, bytes: 0 } });
  expect(readdirSync(folder)).toEqual(['key']);
});

test('a disk that fails costs hits and no answer, and is told', async () => {
  const { cache, folder, logged } = await open();
  rmSync(folder, { recursive: true });
  expect(await cache.recall(key, made('found'))).toEqual({ text: 'found', isHit: false });
  expect(await cache.recall(key, made('found'))).toEqual({ text: 'found', isHit: true });
  expect(logged).toHaveLength(1);
  expect(JSON.parse(logged[0]!)).toMatchObject({ level: 40, code: 'ENOENT' });
  expect(logged[0]).not.toContain('photo');
});

test('memory holds so many bytes and entries, the least recently used going first, none past its time', () => {
  vi.useFakeTimers();
  try {
    const memory = new MemoryCache({ maxBytes: 40, maxEntries: 3, ttlMs: 1000 });
    for (const name of ['a', 'b', 'c']) memory.set(name, '123');
    memory.get('a');
    memory.set('d', '123');
    expect(['a', 'b', 'c', 'd'].map((name) => memory.get(name))).toEqual(['123', null, '123', '123']);
    memory.set('e', 'x'.repeat(35));
    expect(memory.size).toEqual({ entries: 2, bytes: 40 });
    memory.set('f', 'x'.repeat(40));
    expect(memory.get('f')).toBeNull();
    vi.advanceTimersByTime(500);
    memory.set('g', '123', Date.now() + 100);
    vi.advanceTimersByTime(100);
    expect(memory.get('g')).toBeNull();
    vi.advanceTimersByTime(400);
    memory.sweep();
    expect(memory.size).toEqual({ entries: 0, bytes: 0 });
  } finally {
    vi.useRealTimers();
  }
});
