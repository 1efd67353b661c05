import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database, type DatabaseOptions } from '../../../gateway/database/database.ts';
import { MAX_TOKENS_PER_STREAM } from '../../../gateway/database/play-token-repository.ts';
import { DEFAULT_STREAM_POLICY } from '../../../gateway/live/stream-policy.ts';
import { hashKey, makePlayToken } from '../../../gateway/stream-keys.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';
import { sealedIdentity, withBuffers, withoutThumbnails } from './sealed-identity.ts';
import { testStream } from './test-stream.ts';

const PROCESSES = 4;
const NOW = new Date('2026-06-01T12:00:00.000Z');
const later = (ms: number) => new Date(NOW.getTime() + ms);

describe.each(['SQLite', 'PostgreSQL'])('%s', (kind) => {
  let server: PostgresServer | undefined;
  let options: DatabaseOptions;
  let database: Database;

  beforeAll(async () => {
    if (kind === 'PostgreSQL' && hasPostgres) server = await PostgresServer.start();
  });

  afterAll(() => server?.stop());

  beforeEach(async () => {
    if (kind === 'PostgreSQL' && !server) return;
    const dataDir = mkdtempSync(join(tmpdir(), 'faceblur-database-'));
    options = { dataDir, databaseUrl: (await server?.createDatabase()) ?? null, log: pino({ level: 'silent' }) };
    database = await Database.open(options);
  });

  afterEach(async () => {
    await database?.close();
    if (options) rmSync(options.dataDir, { recursive: true, force: true });
  });

  const check = test.skipIf(kind === 'PostgreSQL' && !hasPostgres);

  describe('streams', () => {
    check('are kept as they were given, through a restart', async () => {
      const plain = testStream('plain');
      const full = testStream('full', {
        policy: {
          ...DEFAULT_STREAM_POLICY,
          mode: 'except',
          identities: ['Zoë 👩‍🔬', "O'Neil; drop table streams"],
          margin: 0.1,
        },
        record: true,
        hls: true,
        source: 'rtsp://admin:p%40ss@10.0.0.7/übersicht?q="1"',
        push: ['rtmp://a.example/live/key-1', 'rtmp://b.example/app/日本'],
        createdAt: new Date('2026-01-02T03:04:05.679Z'),
      });
      await database.streams.create(plain);
      await database.streams.create(full);
      await database.close();
      database = await Database.open(options);
      expect(await database.streams.list()).toEqual([plain, full]);
      expect(await database.streams.get('full')).toEqual(full);
      expect(await database.streams.get('none')).toBeNull();
    });

    check('exist once: of many creates of one id at a time exactly one wins, and its key counts', async () => {
      const second = await Database.open(options);
      try {
        const hashes = Array.from({ length: 12 }, (_, i) => hashKey(`key ${i}`));
        const tries = hashes.map((keyHash, i) =>
          (i % 2 ? database : second).streams.create(testStream('same', { keyHash })).then(() => keyHash),
        );
        const results = await Promise.allSettled(tries);
        const won = results.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
        const lost = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason.code);
        expect(won).toHaveLength(1);
        expect(lost).toEqual(Array.from({ length: 11 }, () => 'stream-exists'));
        expect((await database.streams.get('same'))!.keyHash).toBe(won[0]);
      } finally {
        await second.close();
      }
    });

    check('are changed in the fields that are named, and no others', async () => {
      const stream = testStream('s', { source: 'rtmp://a/b', push: ['rtmp://c/d'] });
      await database.streams.create(stream);
      await database.streams.create(testStream('other'));
      const policy = { ...DEFAULT_STREAM_POLICY, strength: 1 };
      expect(await database.streams.update('s', { policy, record: true })).toBe(true);
      expect(await database.streams.update('s', {})).toBe(true);
      expect(await database.streams.get('s')).toEqual({ ...stream, policy, record: true });
      expect(await database.streams.update('s', { record: false, push: [] })).toBe(true);
      expect(await database.streams.setKeyHash('s', hashKey('new'))).toBe(true);
      expect(await database.streams.get('s')).toEqual({ ...stream, policy, push: [], keyHash: hashKey('new') });
      expect(await database.streams.get('other')).toEqual(testStream('other'));
    });

    check('that are not there are neither changed nor made nor removed', async () => {
      expect(await database.streams.update('none', { record: true })).toBe(false);
      expect(await database.streams.setKeyHash('none', hashKey('k'))).toBe(false);
      expect(await database.streams.remove('none')).toBe(false);
      expect(await database.streams.list()).toEqual([]);
    });

    check('leave their id free when they are removed', async () => {
      await database.streams.create(testStream('s'));
      expect(await database.streams.remove('s')).toBe(true);
      expect(await database.streams.get('s')).toBeNull();
      await database.streams.create(testStream('s', { record: true }));
      expect((await database.streams.get('s'))!.record).toBe(true);
    });
  });

  describe('play tokens', () => {
    const token = (streamId: string, expiresAt: Date) => ({ hash: makePlayToken().hash, streamId, expiresAt });

    beforeEach(async () => {
      await database?.streams.create(testStream('a'));
      await database?.streams.create(testStream('b'));
    });

    check('open their stream until they expire, through a restart', async () => {
      const one = token('a', later(1000));
      await database.playTokens.add(one, NOW);
      await database.close();
      database = await Database.open(options);
      expect(await database.playTokens.streamOf(one.hash, later(999))).toBe('a');
      expect(await database.playTokens.streamOf(one.hash, later(1000))).toBeNull();
      expect(await database.playTokens.streamOf(hashKey('pt_guess'), NOW)).toBeNull();
    });

    check('go with their stream', async () => {
      const one = token('a', later(1000));
      const other = token('b', later(1000));
      for (const added of [one, other]) await database.playTokens.add(added, NOW);
      await database.streams.remove('a');
      await database.streams.create(testStream('a'));
      expect(await database.playTokens.streamOf(one.hash, NOW)).toBeNull();
      expect(await database.playTokens.streamOf(other.hash, NOW)).toBe('b');
    });

    check('are not made for a stream that is not there', async () => {
      const adding = database.playTokens.add(token('none', later(1000)), NOW);
      await expect(adding).rejects.toMatchObject({ code: 'stream-not-found' });
    });

    check('are erased once they have expired', async () => {
      const lasting = token('a', later(5000));
      await database.playTokens.add(token('b', later(1000)), NOW);
      await database.playTokens.add(lasting, NOW);
      expect(await database.playTokens.sweep(later(1000))).toBe(1);
      expect(await database.playTokens.sweep(later(1000))).toBe(0);
      expect(await database.playTokens.streamOf(lasting.hash, later(1000))).toBe('a');
    });

    check('are bounded for each stream, also when they are asked for at once; expired ones make room', async () => {
      for (let i = 0; i < MAX_TOKENS_PER_STREAM - 2; i++) await database.playTokens.add(token('a', later(1000)), NOW);
      const second = await Database.open(options);
      try {
        const tries = Array.from({ length: 6 }, (_, i) =>
          (i % 2 ? database : second).playTokens.add(token('a', later(2000)), NOW),
        );
        const refused = (await Promise.allSettled(tries)).filter((result) => result.status === 'rejected');
        expect(refused.map(({ reason }) => reason.code)).toEqual(['too-many', 'too-many', 'too-many', 'too-many']);
      } finally {
        await second.close();
      }
      await database.playTokens.add(token('b', later(1000)), NOW);
      await database.playTokens.add(token('a', later(3000)), later(1000));
    });
  });

  describe('identities', () => {
    check('are kept as they were given, in order, through a restart; thumbnails are given one by one', async () => {
      const first = sealedIdentity('first', 20);
      const second = sealedIdentity('second', 1, { createdAt: new Date('2026-01-02T03:04:05.679Z') });
      await database.identities.create(second);
      await database.identities.create(first);
      await database.close();
      database = await Database.open(options);
      const wanted = [first, second].map(withoutThumbnails);
      expect((await database.identities.list()).map(withBuffers)).toEqual(wanted);
      expect(Buffer.from((await database.identities.thumbnail('first', 2))!)).toEqual(first.images[2]!.sealedThumbnail);
      expect(await database.identities.thumbnail('first', 1)).toBeNull();
      expect(await database.identities.thumbnail('first', 20)).toBeNull();
      expect(await database.identities.thumbnail('none', 0)).toBeNull();
    });

    check('are stored whole or not at all', async () => {
      await database.identities.create(sealedIdentity('a'));
      const broken = {
        ...sealedIdentity('b'),
        images: [{ ...sealedIdentity('b').images[0]!, quality: null as never }],
      };
      await expect(database.identities.create(broken)).rejects.toThrow();
      await expect(database.identities.create(sealedIdentity('a'))).rejects.toThrow();
      expect((await database.identities.list()).map(({ id, images }) => [id, images.length])).toEqual([['a', 2]]);
    });

    check('are erased with their photos, and nobody else with them', async () => {
      for (const id of ['a', 'b']) await database.identities.create(sealedIdentity(id));
      await database.identities.remove('a');
      await database.identities.remove('a');
      expect((await database.identities.list()).map(({ id, images }) => [id, images.length])).toEqual([['b', 2]]);
      expect(await database.identities.thumbnail('a', 0)).toBeNull();
      expect(await database.identities.thumbnail('b', 0)).not.toBeNull();
    });

    check('are erased while others read and write', async () => {
      const second = await Database.open(options);
      try {
        for (let i = 0; i < 6; i++) await database.identities.create(sealedIdentity(`p${i}`));
        const work = Array.from({ length: 6 }, (_, i) => [
          (i % 2 ? database : second).identities.remove(`p${i}`),
          second.identities.list(),
          second.streams.create(testStream(`s${i}`)),
        ]);
        await Promise.all(work.flat());
        expect(await second.identities.list()).toEqual([]);
        expect(await database.streams.list()).toHaveLength(6);
      } finally {
        await second.close();
      }
    });
  });

  check('the value that tells the right key is kept as it was written first', async () => {
    expect(await database.sealCheck.read()).toBeNull();
    await database.sealCheck.write(Uint8Array.of(1, 2, 3));
    await database.sealCheck.write(Uint8Array.of(4));
    expect([...(await database.sealCheck.read())!]).toEqual([1, 2, 3]);
  });

  check('processes that start at once on a new database: one makes the tables, one gets the stream', async () => {
    const fresh = { ...options, databaseUrl: (await server?.createDatabase()) ?? null };
    if (!server) fresh.dataDir = join(options.dataDir, 'fresh');
    const children = Array.from({ length: PROCESSES }, (_, i) => {
      const args = [join(import.meta.dirname, 'open-and-create.ts'), fresh.dataDir, fresh.databaseUrl ?? ''];
      const child = spawn(process.execPath, [...args, hashKey(`${i}`)], { stdio: ['pipe', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      return { child, ready: once(child.stdout, 'data'), exit: once(child, 'exit'), output: () => output };
    });
    await Promise.all(children.map(({ ready }) => ready));
    for (const { child } of children) child.stdin.write('go\n');
    const codes = await Promise.all(children.map(({ exit }) => exit));
    expect(codes.map(([code]) => code)).toEqual(Array.from({ length: PROCESSES }, () => 0));
    const outcomes = children.map(({ output }) => JSON.parse(output().trim().split('\n')[1]!));
    expect(outcomes.filter(({ migrated }) => migrated)).toHaveLength(1);
    const winners = outcomes.filter(({ created }) => created);
    expect(winners).toHaveLength(1);
    const opened = await Database.open(fresh);
    expect((await opened.streams.list()).map(({ keyHash }) => keyHash)).toEqual([winners[0].keyHash]);
    await opened.close();
  });

  check('fails after close, which may be asked for twice', async () => {
    await Promise.all([database.close(), database.close()]);
    await expect(database.streams.list()).rejects.toThrow(/destroyed/);
  });
});
