import { setTimeout as sleep } from 'node:timers/promises';

/** Longest that SQLite itself waits for another writer: it blocks the thread meanwhile, and that moves packets too. */
export const BLOCKING_WAIT_MS = 5;
/** Longest to wait in all. Others write for milliseconds; only a migration may take longer. */
const WAIT_LIMIT_MS = 30_000;
const RETRY_MS = 10;

/** SQLite's primary result code for a lock that somebody else holds; extended codes carry it in their low byte. */
const SQLITE_BUSY = 5;

/**
 * Does `work` again while another connection writes, and lets the thread do other things in between.
 * @throws what `work` throws, and SQLite's own error when it is busy for too long
 */
export async function whileBusy<T>(work: () => T): Promise<T> {
  const deadline = performance.now() + WAIT_LIMIT_MS;
  for (;;) {
    try {
      return work();
    } catch (error) {
      const { errcode } = error as { errcode?: number };
      if (errcode === undefined || (errcode & 0xff) !== SQLITE_BUSY || performance.now() > deadline) throw error;
    }
    await sleep(RETRY_MS);
  }
}
