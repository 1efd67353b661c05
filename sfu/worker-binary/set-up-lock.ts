import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { SfuError } from '../errors.ts';

/** SQLite's result code for a lock that somebody else holds. */
const SQLITE_BUSY = 5;
const RETRY_MS = 500;

export interface SetUpLockOptions {
  /** Longest to wait for another process. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once, when somebody else holds it. */
  onWait(): void;
}

/**
 * Runs `work` in one process at a time. What is locked is an empty SQLite file: the system itself takes such a lock
 * back when its process ends, however it ends, so that none is ever left behind.
 * @throws SfuError 'worker-missing' when another process holds it for longer than `limitMs`; what `work` throws
 */
export async function withSetUpLock<T>(file: string, options: SetUpLockOptions, work: () => Promise<T>): Promise<T> {
  using lock = new DatabaseSync(file, { timeout: 0 });
  const deadline = performance.now() + options.limitMs;
  for (let waits = 0; !tryLock(lock); waits++) {
    if (waits === 0) options.onWait();
    if (performance.now() > deadline) {
      const minutes = Math.round(options.limitMs / 60_000);
      throw new SfuError('worker-missing', `another set-up has held ${file} for ${minutes} minutes; end it, try again`);
    }
    await sleep(RETRY_MS, undefined, { signal: options.signal });
  }
  // Closing the file ends the transaction, and with it the lock.
  return await work();
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
