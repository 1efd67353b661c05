import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../../gateway/database/database.ts';
import { MIGRATIONS } from '../../../gateway/database/migrations.ts';
import type { GatewayError } from '../../../gateway/errors.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';
import { testStream } from './test-stream.ts';

const log = pino({ level: 'silent' });
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'faceblur-open-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** The error with which opening is refused. */
async function refusal(options: { dataDir: string; databaseUrl: string | null }): Promise<GatewayError> {
  const opened = await Database.open({ ...options, log }).catch((error: GatewayError) => error);
  if (opened instanceof Error) return opened;
  await opened.close();
  throw new Error('it was opened');
}

describe('the SQLite file', () => {
  test('is made with its folder, and it and what lies beside it are for their owner alone', async () => {
    const folder = join(dataDir, 'new', 'folder');
    const database = await Database.open({ dataDir: folder, databaseUrl: null, log });
    await database.streams.create(testStream('a'));
    const files = readdirSync(folder);
    expect(files.sort()).toEqual(['faceblur.db', 'faceblur.db-shm', 'faceblur.db-wal']);
    for (const file of files) expect(statSync(join(folder, file)).mode & 0o777, file).toBe(0o600);
    await database.close();
  });

  test('that others could read is closed to them', async () => {
    await (await Database.open({ dataDir, databaseUrl: null, log })).close();
    chmodSync(join(dataDir, 'faceblur.db'), 0o644);
    await (await Database.open({ dataDir, databaseUrl: null, log })).close();
    expect(statSync(join(dataDir, 'faceblur.db')).mode & 0o777).toBe(0o600);
  });

  test('that is no database, or where there can be none, is refused by the name of DATA_DIR', async () => {
    writeFileSync(join(dataDir, 'faceblur.db'), 'not a database, however long it may be'.repeat(100));
    writeFileSync(join(dataDir, 'file'), '');
    for (const folder of [dataDir, join(dataDir, 'file')]) {
      const error = await refusal({ dataDir: folder, databaseUrl: null });
      expect(error).toMatchObject({
        code: 'bad-config',
        message: expect.stringMatching(/^DATA_DIR: [^\n]*faceblur\.db/),
      });
    }
  });

  test('of a newer version is refused and left as it is', async () => {
    await (await Database.open({ dataDir, databaseUrl: null, log })).close();
    const file = new DatabaseSync(join(dataDir, 'faceblur.db'));
    file.exec(`insert into kysely_migration values ('9999-later', '2099-01-01T00:00:00.000Z')`);
    const error = await refusal({ dataDir, databaseUrl: null });
    expect(error).toMatchObject({ code: 'bad-config', message: expect.stringContaining('9999-later') });
    expect(file.prepare('select count(*) as n from kysely_migration').get()).toEqual({
      n: Object.keys(MIGRATIONS).length + 1,
    });
    file.close();
  });

  test('that another process is writing is waited for, while this one goes on', async () => {
    const database = await Database.open({ dataDir, databaseUrl: null, log });
    const other = new DatabaseSync(join(dataDir, 'faceblur.db'));
    other.exec('begin immediate');
    let turns = 0;
    const ticking = setInterval(() => turns++, 5);
    const created = database.streams.create(testStream('a'));
    setTimeout(() => other.exec('commit'), 200);
    await created;
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(5);
    expect(await database.streams.get('a')).not.toBeNull();
    other.close();
    await database.close();
  });
});

describe.skipIf(!hasPostgres)('the PostgreSQL database', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await PostgresServer.start();
  });

  afterAll(() => server?.stop());

  test('that can’t be used is refused by the name of DATABASE_URL, without its password', async () => {
    const secret = 'hunter2-very-secret';
    const nobodyThere = `postgres://u:${secret}@127.0.0.1:1/db`;
    const wrongPassword = server.url('postgres', secret);
    const noSuchDatabase = `${server.url('none')}`;
    const said: string[] = [];
    for (const databaseUrl of [nobodyThere, wrongPassword, noSuchDatabase]) {
      const error = await refusal({ dataDir, databaseUrl });
      expect(error).toMatchObject({ code: 'bad-config', message: expect.stringMatching(/^DATABASE_URL: [^\n]+$/) });
      for (const hidden of [secret, server.password]) expect(inspect(error, { depth: 9 })).not.toContain(hidden);
      said.push(error.message);
    }
    expect(said[0]).toContain('ECONNREFUSED');
    expect(said[1]).toContain('password authentication failed');
    expect(said[2]).toContain('does not exist');
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('may go away and come back: what is asked then is answered', async () => {
    const database = await Database.open({ dataDir, databaseUrl: await server.createDatabase(), log });
    await database.streams.create(testStream('a'));
    await server.restart();
    expect((await database.streams.list()).map(({ id }) => id)).toEqual(['a']);
    await database.close();
  });
});
