import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../../gateway/database/database.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';

const ID = '0123456789abcdef01234567';
const STARTED = new Date('2026-06-01T12:00:00.123Z');
const FACES = [{ track: 3, identity: 'zoe', visible: true, startMs: 0, endMs: 1200 }];

describe.each(['SQLite', 'PostgreSQL'])('recordings in %s', (kind) => {
  const check = test.skipIf(kind === 'PostgreSQL' && !hasPostgres);
  let server: PostgresServer | undefined;
  let dataDir: string;
  let database: Database;

  beforeAll(async () => {
    if (kind === 'PostgreSQL' && hasPostgres) server = await PostgresServer.start();
  });

  afterAll(() => server?.stop());

  beforeEach(async () => {
    if (kind === 'PostgreSQL' && !server) return;
    dataDir = await mkdtemp(join(tmpdir(), 'faceblur-recording-rows-'));
    const databaseUrl = (await server?.createDatabase()) ?? null;
    database = await Database.open({ dataDir, databaseUrl, log: pino({ level: 'silent' }) });
  });

  afterEach(async () => {
    await database?.close();
    if (dataDir) await rm(dataDir, { recursive: true, force: true });
  });

  check('are kept with their segments, and what is done again changes nothing', async () => {
    const { recordings: rows } = database;
    await rows.create({ id: ID, stream: 'cam', startedAt: STARTED });
    const segment = { number: 1, part: 1, durationMs: 4000.25, bytes: 500_000, faces: FACES };
    for (let again = 0; again < 2; again++) {
      await rows.create({ id: ID, stream: 'other', startedAt: new Date() });
      await rows.addSegment(ID, segment);
    }
    await rows.addSegment(ID, { ...segment, number: 3, part: 2 });
    expect(await rows.segments(ID)).toEqual([segment, { ...segment, number: 3, part: 2 }]);
    expect(await rows.get(ID)).toEqual({
      ...{ id: ID, stream: 'cam', state: 'recording', reason: null, startedAt: STARTED, endedAt: null },
      ...{ durationMs: 8000.5, files: { mp4: false, poster: false, timeline: false } },
    });
    const files = { mp4: true, poster: true, timeline: false };
    await rows.update(ID, { state: 'partial', reason: 'why', endedAt: STARTED, files });
    expect(await rows.get(ID)).toMatchObject({ state: 'partial', reason: 'why', endedAt: STARTED, files });
    await rows.remove(ID);
    expect(await rows.get(ID)).toBeNull();
    expect(await rows.segments(ID)).toEqual([]);
  });

  check('are listed in the order in which they began, page by page, of one stream or all', async () => {
    const { recordings: rows } = database;
    const ids = ['b', 'a', 'c', 'd'].map((letter) => letter.repeat(24));
    // Two at the same moment, told apart by their ids.
    for (const [index, id] of ids.entries()) {
      const startedAt = new Date(STARTED.getTime() + Math.floor(index / 2));
      await rows.create({ id, stream: index === 2 ? 'door' : 'cam', startedAt });
    }
    const order = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(24));
    const listed: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await rows.list(null, 1, cursor);
      listed.push(...page.entries.map(({ id }) => id));
      cursor = page.next ?? undefined;
    } while (cursor);
    expect(listed).toEqual(order);
    expect((await rows.list('door', 10)).entries.map(({ id }) => id)).toEqual([order[2]]);
    expect((await rows.list('none', 10)).entries).toEqual([]);
    await expect(rows.list(null, 10, 'x')).rejects.toMatchObject({ code: 'bad-request' });
  });
});
