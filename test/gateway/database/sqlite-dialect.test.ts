import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NodeSqliteDialect } from '../../../gateway/database/sqlite-dialect.ts';

interface Tables {
  kinds: {
    id: number;
    flag: boolean | null;
    at: Date | null;
    data: unknown;
    text: string | null;
    bytes: Uint8Array | null;
  };
}

let db: Kysely<Tables>;

beforeEach(async () => {
  db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(new DatabaseSync(':memory:')) });
  await db.schema
    .createTable('kinds')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('flag', 'boolean')
    .addColumn('at', 'timestamptz')
    .addColumn('data', 'json')
    .addColumn('text', 'text')
    .addColumn('bytes', 'blob')
    .execute();
});

afterEach(() => db.destroy());

test('values come back as the kind they were', async () => {
  const row = {
    id: 1,
    flag: true,
    at: new Date('2026-02-03T04:05:06.007Z'),
    data: { list: [1, 'two', null], name: 'Zoë 👩‍🔬' },
    text: '2026-02-03T04:05:06.007Z',
    bytes: new Uint8Array([0, 255]),
  };
  const none = { id: 2, flag: null, at: null, data: null, text: null, bytes: null };
  await db
    .insertInto('kinds')
    .values({ ...row, data: JSON.stringify(row.data) })
    .execute();
  await db
    .insertInto('kinds')
    .values({ ...none, flag: false })
    .execute();
  const rows = await db.selectFrom('kinds').selectAll().orderBy('id').execute();
  expect(rows.map((one) => ({ ...one }))).toEqual([row, { ...none, flag: false }]);
  const returned = await db
    .updateTable('kinds')
    .set({ flag: null })
    .where('at', '=', row.at)
    .returning('flag')
    .execute();
  expect(returned.map((one) => ({ ...one }))).toEqual([{ flag: null }]);
});

test('what a statement changed is counted', async () => {
  const inserted = await db
    .insertInto('kinds')
    .values([{ id: 7 }, { id: 8 }] as never)
    .executeTakeFirst();
  expect(inserted).toMatchObject({ insertId: 8n, numInsertedOrUpdatedRows: 2n });
  expect(await db.deleteFrom('kinds').executeTakeFirst()).toMatchObject({ numDeletedRows: 2n });
});

test('rows can be read one by one', async () => {
  await db
    .insertInto('kinds')
    .values([
      { id: 1, flag: true },
      { id: 2, flag: false },
    ] as never)
    .execute();
  const flags: unknown[] = [];
  for await (const { flag } of db.selectFrom('kinds').select('flag').orderBy('id').stream()) flags.push(flag);
  expect(flags).toEqual([true, false]);
});

test('a transaction that fails leaves nothing, and transactions take turns', async () => {
  const failing = db.transaction().execute(async (transaction) => {
    await transaction
      .insertInto('kinds')
      .values({ id: 1 } as never)
      .execute();
    throw new Error('on purpose');
  });
  const other = db.transaction().execute(async (transaction) => {
    await transaction
      .insertInto('kinds')
      .values({ id: 2 } as never)
      .execute();
  });
  await expect(failing).rejects.toThrow('on purpose');
  await other;
  expect((await db.selectFrom('kinds').select('id').execute()).map(({ id }) => id)).toEqual([2]);
});

test('a migration that fails half-way leaves nothing of it, nor of those before it in the same start', async () => {
  const up = (...statements: string[]) => ({
    up: async (in_: Kysely<unknown>) => {
      for (const statement of statements) await sql.raw(statement).execute(in_);
    },
  });
  const migrations = { '1': up('create table one (a)'), '2': up('create table two (a)', 'not sql') };
  const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest();
  expect(error).toBeDefined();
  expect((await db.introspection.getTables()).map(({ name }) => name)).toEqual(['kinds']);
  const mended = { ...migrations, '2': up('create table two (a)') };
  const again = await new Migrator({ db, provider: { getMigrations: async () => mended } }).migrateToLatest();
  expect(again.results?.map(({ status }) => status)).toEqual(['Success', 'Success']);
});
