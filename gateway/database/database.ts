import { join } from 'node:path';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Logger } from 'pino';
import { GatewayError } from '../errors.ts';
import { IdentityRepository } from './identity-repository.ts';
import { type JobDialect, POSTGRES_JOBS, SQLITE_JOBS } from './job-dialect.ts';
import { JobRepository } from './job-repository.ts';
import { MIGRATIONS } from './migrations.ts';
import { openPostgres } from './open-postgres.ts';
import { openSqlite } from './open-sqlite.ts';
import { PlayTokenRepository } from './play-token-repository.ts';
import { RecordingRepository } from './recording-repository.ts';
import { scrubPostgres, scrubSqlite } from './scrub.ts';
import { SealCheck } from './seal-check.ts';
import { StreamRepository } from './stream-repository.ts';
import type { Tables } from './tables.ts';
import { VideoRepository } from './video-repository.ts';

export interface DatabaseOptions {
  /** The folder of `faceblur.db`, where `databaseUrl` is null. Made when it is not there. */
  readonly dataDir: string;
  /** A PostgreSQL database; a secret, as it may hold a password. */
  readonly databaseUrl: string | null;
  readonly log: Logger;
}

/** What outlives the process: one SQLite file, or a PostgreSQL database that several gateways share. */
export class Database {
  readonly streams: StreamRepository;
  readonly playTokens: PlayTokenRepository;
  readonly identities: IdentityRepository;
  readonly jobs: JobRepository;
  readonly recordings: RecordingRepository;
  readonly videos: VideoRepository;
  readonly sealCheck: SealCheck;
  readonly #kysely: Kysely<Tables>;
  #closing: Promise<void> | undefined;

  private constructor(kysely: Kysely<Tables>, scrub: () => Promise<void>, jobDialect: JobDialect) {
    this.#kysely = kysely;
    this.streams = new StreamRepository(kysely);
    this.playTokens = new PlayTokenRepository(kysely);
    this.identities = new IdentityRepository(kysely, scrub);
    this.jobs = new JobRepository(kysely, jobDialect);
    this.recordings = new RecordingRepository(kysely);
    this.videos = new VideoRepository(kysely, jobDialect === SQLITE_JOBS ? scrub : null);
    this.sealCheck = new SealCheck(kysely);
  }

  /**
   * Opens it and brings its tables up to date; of several processes that start at once, one does so and the others wait.
   * @throws GatewayError 'bad-config' naming DATA_DIR or DATABASE_URL when it can't be used
   */
  static async open({ dataDir, databaseUrl, log }: DatabaseOptions): Promise<Database> {
    const file = join(dataDir, 'faceblur.db');
    const refuse = databaseUrl === null ? refusedFile(file) : refusedServer(databaseUrl);
    let kysely: Kysely<Tables> | undefined;
    try {
      const dialect = databaseUrl === null ? await openSqlite(file) : openPostgres(databaseUrl, log);
      const opened = new Kysely<Tables>({ dialect });
      kysely = opened;
      await migrate(opened, log);
      const scrub = databaseUrl === null ? scrubSqlite : scrubPostgres;
      const jobDialect = databaseUrl === null ? SQLITE_JOBS : POSTGRES_JOBS;
      return new Database(opened, () => scrub(opened, log), jobDialect);
    } catch (error) {
      await kysely?.destroy();
      throw refuse(error);
    }
  }

  /** Waits for queries that run. What is asked afterwards fails. */
  close(): Promise<void> {
    this.#closing ??= this.#kysely.destroy();
    return this.#closing;
  }
}

async function migrate(kysely: Kysely<Tables>, log: Logger): Promise<void> {
  const migrator = new Migrator({ db: kysely, provider: { getMigrations: async () => ({ ...MIGRATIONS }) } });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  if (results.length > 0) log.info({ migrations: results.map((one) => one.migrationName) }, 'database migrated');
}

type Refusal = (error: unknown) => GatewayError;

function refusedFile(file: string): Refusal {
  return (error) => {
    const why = error instanceof Error ? error.message : String(error);
    return new GatewayError('bad-config', `DATA_DIR: cannot use ${file} as the database: ${why}`, { cause: error });
  };
}

/** Of the address, only what is no secret is told; the cause stays out, as it may repeat the rest. */
function refusedServer(databaseUrl: string): Refusal {
  const { host, password } = URL.parse(databaseUrl) ?? { host: '', password: '' };
  return (error) => {
    const { code, message = '' } = error as { code?: string; message?: string };
    const spoken = password !== '' && message.includes(password) ? '' : message;
    const why = [spoken, code].filter(Boolean).join(', ') || 'it does not answer';
    const where = host || 'the local socket';
    return new GatewayError('bad-config', `DATABASE_URL: cannot use the database at ${where}: ${why}`);
  };
}
