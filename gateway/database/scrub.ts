import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type { Logger } from 'pino';
import type { Tables } from './tables.ts';

/** Readers keep the log of changes from being emptied; they read for milliseconds. */
const CHECKPOINT_LIMIT_MS = 5_000;
const RETRY_MS = 20;

/**
 * Empties SQLite's write-ahead log, in which deleted rows can still be read; in the database itself `secure_delete` has
 * overwritten them. Where another process keeps it from being emptied, that is logged: the next time, or the last
 * process to close, does it.
 */
export async function scrubSqlite(db: Kysely<Tables>, log: Logger): Promise<void> {
  const deadline = performance.now() + CHECKPOINT_LIMIT_MS;
  for (;;) {
    const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(db);
    if (rows[0]?.busy === 0) return;
    if (performance.now() > deadline) break;
    await sleep(RETRY_MS);
  }
  log.warn('another process is using the database: what was erased stays, sealed, in faceblur.db-wal until it ends');
}

/**
 * Has PostgreSQL write the table of identities' keys anew, without those deleted: what else was sealed can't be read
 * without them, and is the server's to vacuum when it likes. That table is small whoever is enrolled.
 */
export async function scrubPostgres(db: Kysely<Tables>, log: Logger): Promise<void> {
  try {
    await sql`vacuum full identities`.execute(db);
  } catch (error) {
    const { code } = error as { code?: string };
    log.warn({ code }, 'an identity was erased, but its sealed rows stay in the database’s files until it is vacuumed');
  }
}
