import { spawnSync } from 'node:child_process';

/** With which a worker ends that was not started by mediasoup's library (worker/src/main.cpp). */
const NOT_STARTED_BY_LIBRARY = 41;
const START_LIMIT_MS = 10_000;

/**
 * Whether the program can be loaded on this machine: built for its processor, and with all its libraries there.
 * Takes a few milliseconds.
 */
export function workerStarts(path: string): boolean {
  return spawnSync(path, { env: {}, stdio: 'ignore', timeout: START_LIMIT_MS }).status === NOT_STARTED_BY_LIBRARY;
}

/** Whether the program does a worker's work: it answers over its channel and makes a router. */
export async function workerWorks(path: string): Promise<boolean> {
  if (!workerStarts(path)) return false;
  // Only now: a start that finds all in place should not load the library.
  const { createWorker } = await import('mediasoup');
  const worker = await createWorker({ workerBin: path, logLevel: 'none' }).catch(() => null);
  if (!worker) return false;
  try {
    await worker.createRouter();
    return true;
  } catch {
    return false;
  } finally {
    worker.close();
  }
}
