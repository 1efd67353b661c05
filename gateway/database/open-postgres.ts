import { type Dialect, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import type { Logger } from 'pino';

const MAX_CONNECTIONS = 5;
const CONNECT_LIMIT_MS = 5_000;
const IDLE_LIMIT_MS = 60_000;
/** Longest for one statement, a wait for another process's migrations included. */
const STATEMENT_LIMIT_MS = 30_000;
/** The server cannot tell us that it is gone: a little longer than it may take itself. */
const ANSWER_LIMIT_MS = STATEMENT_LIMIT_MS + 5_000;

/** Connects when the first query needs it. */
export function openPostgres(databaseUrl: string, log: Logger): Dialect {
  const pool = new Pool({
    connectionString: databaseUrl,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    idleTimeoutMillis: IDLE_LIMIT_MS,
    statement_timeout: STATEMENT_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
    idle_in_transaction_session_timeout: STATEMENT_LIMIT_MS,
    application_name: 'faceblur',
  });
  // The pool opens another when one is needed; without a listener the process would end.
  pool.on('error', (error: Error & { code?: string }) => {
    log.warn({ code: error.code }, 'idle database connection lost');
  });
  return new PostgresDialect({ pool });
}
