import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Database } from '../../../gateway/database/database.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';
import { hasRedis, RedisServer } from '../../setup/redis-server.ts';
import type { NodeSettings } from './job-node.ts';

/** Where rows are, and what carries jobs: one cell of the design's table of columns. */
export interface Column {
  readonly name: string;
  readonly rows: 'SQLite' | 'PostgreSQL';
  readonly carrier: 'in-process' | 'Redis';
  /** Whether its servers can be started here. */
  readonly possible: boolean;
}

export const COLUMNS: readonly Column[] = (['SQLite', 'PostgreSQL'] as const).flatMap((rows) =>
  (['in-process', 'Redis'] as const).map((carrier) => ({
    name: `${rows}, ${carrier}`,
    rows,
    carrier,
    possible: (rows === 'SQLite' || hasPostgres) && (carrier === 'in-process' || hasRedis),
  })),
);

/** The servers of a column, and for each test an empty database and a prefix of its own. */
export class ColumnServers {
  readonly redis: RedisServer | null;
  readonly #postgres: PostgresServer | null;
  readonly #folders: string[] = [];
  #count = 0;

  static async start({ rows, carrier }: Column): Promise<ColumnServers> {
    const postgres = rows === 'PostgreSQL' ? await PostgresServer.start() : null;
    return new ColumnServers(postgres, carrier === 'Redis' ? await RedisServer.start() : null);
  }

  private constructor(postgres: PostgresServer | null, redis: RedisServer | null) {
    this.#postgres = postgres;
    this.redis = redis;
  }

  /** What nodes that share jobs are opened with. */
  async settings(): Promise<NodeSettings> {
    const dataDir = mkdtempSync(join(tmpdir(), 'faceblur-jobs-'));
    this.#folders.push(dataDir);
    const databaseUrl = this.#postgres ? await this.#postgres.createDatabase() : null;
    // Its tables, so that nodes that start at once do not wait for each other.
    await (await Database.open({ dataDir, databaseUrl, log: pino({ level: 'silent' }) })).close();
    return { dataDir, databaseUrl, redisUrl: this.redis?.url() ?? null, prefix: `{test${++this.#count}}` };
  }

  async stop(): Promise<void> {
    await this.#postgres?.stop();
    await this.redis?.stop();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }
}
