import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { whileBusy } from './sqlite-busy.ts';

/**
 * Kysely on `node:sqlite`. Gives and takes what PostgreSQL's driver does: booleans, Dates (to the millisecond) and JSON,
 * told by the type a column was declared with. Every transaction begins as a writing one, so that those of several
 * processes wait for each other at their start and none fails half-way.
 */
export class NodeSqliteDialect implements Dialect {
  readonly #database: DatabaseSync;

  /** @param database owned by the dialect from here on */
  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#database);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new NodeSqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

/** Says that tables are made in transactions: the migrator then runs in one, which is its lock, all or nothing. */
class NodeSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class NodeSqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: NodeSqliteConnection;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database);
  }

  async init(): Promise<void> {}

  /** There is one; Kysely hands it out to one user at a time. */
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // One that begins by reading can't become a writer once another process has written (SQLITE_BUSY_SNAPSHOT).
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#database.close();
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.#database.prepare(sql);
    const values = parameters.map(toSqlite);
    const readRow = rowReader(statement);
    if (readRow) return { rows: (await whileBusy(() => statement.all(...values))).map(readRow) as R[] };
    const { changes, lastInsertRowid } = await whileBusy(() => statement.run(...values));
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    const statement = this.#database.prepare(sql);
    const readRow = rowReader(statement) ?? ((row: Row) => row);
    for (const row of statement.iterate(...parameters.map(toSqlite))) yield { rows: [readRow(row) as R] };
  }
}

type Row = Record<string, unknown>;

function toSqlite(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Date) return value.toISOString();
  return value as SQLInputValue;
}

/** By the declared type of a column. What has no entry is handed on as SQLite has it. */
const READERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  boolean: (value) => value !== 0,
  timestamptz: (value) => new Date(value as string),
  json: (value) => JSON.parse(value as string),
};

/** @returns null for a statement that has no rows to give */
function rowReader(statement: StatementSync): ((row: Row) => Row) | null {
  const columns = statement.columns();
  if (columns.length === 0) return null;
  const converted = columns.flatMap(({ name, type }) => {
    const read = type === null ? undefined : READERS[type.toLowerCase()];
    return read ? [{ name, read }] : [];
  });
  return (row) => {
    for (const { name, read } of converted) if (row[name] !== null) row[name] = read(row[name]);
    return row;
  };
}
