import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** Where SQLite and PostgreSQL differ for jobs. */
export interface JobDialect {
  /** The store's own time, `offsetMs` from now: machines that share a database may not agree on theirs. */
  now(offsetMs?: number): RawBuilder<Date>;
  /** Called first in a transaction: of those that take jobs on, one runs at a time. */
  serialise(transaction: Kysely<Tables>): Promise<void>;
}

/** Any number that nothing else in the database uses. */
const CLAIM_LOCK = 7_239_418_113;

/** Processes that share a file share a clock, and every transaction is a writing one from its start. */
export const SQLITE_JOBS: JobDialect = Object.freeze({
  now: (offsetMs = 0) => sql<Date>`${new Date(Date.now() + offsetMs)}`,
  serialise: async () => {},
});

export const POSTGRES_JOBS: JobDialect = Object.freeze({
  now: (offsetMs = 0) => sql<Date>`(clock_timestamp() + make_interval(secs => ${offsetMs / 1000}::double precision))`,
  serialise: async (transaction: Kysely<Tables>) => {
    await sql`select pg_advisory_xact_lock(${CLAIM_LOCK}::bigint)`.execute(transaction);
  },
});
