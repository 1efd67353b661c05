import { pino } from 'pino';
import { loadServerConfig } from '../config.ts';
import { Database } from '../database/database.ts';
import { JobGateway } from '../jobs/job-gateway.ts';
import { createJobHandlers } from '../jobs/job-handlers.ts';
import { openObjectStore } from '../objects/open-store.ts';
import { openVault } from '../secrets/open-vault.ts';
import { VideoJobs } from '../videos/video-jobs.ts';
import { Interrupt } from './interrupt.ts';

export interface WorkerCommand {
  /** Idle looks in a row after which to leave. */
  readonly leaveAfter?: number;
}

/** Jobs that have not ended by then are left to whoever takes them over. */
const CLOSE_DEADLINE_MS = 10_000;

/**
 * Works on jobs until a signal ends it, or there have been none for long enough.
 * @returns the exit code
 * @throws GatewayError 'bad-config'
 */
export async function runWorker({ leaveAfter = Number.POSITIVE_INFINITY }: WorkerCommand): Promise<number> {
  const config = loadServerConfig();
  const log = pino({ level: config.logLevel }, pino.destination(2));
  const interrupt = new Interrupt();
  const left = new AbortController();
  const over = AbortSignal.any([interrupt.signal, left.signal]);
  await using open = new AsyncDisposableStack();
  const database = open.adopt(await Database.open({ ...config, log }), (d) => d.close());
  const { dataDir, host: bind, encryptionKey: key } = config;
  const vault = await openVault({ key, dataDir, bind, check: database.sealCheck, log });
  const store = open.adopt(await openObjectStore({ ...config, vault }), (s) => s.close());
  const videos = open.adopt(await VideoJobs.open({ config, database, vault, store, log }), (v) => v.close());
  const concurrency = Math.max(1, config.jobs.concurrency);
  const jobs = await JobGateway.create({
    // Whoever starts a worker wants it to work, also with the server's own settings.
    config: { ...config, jobs: { ...config.jobs, concurrency } },
    store: database.jobs,
    handlers: createJobHandlers(videos),
    onIdle: (polls) => polls >= leaveAfter && left.abort(),
    log,
  });
  open.adopt(jobs, (j) => j.close());
  log.info({ concurrency }, 'worker started');
  await new Promise<void>((resolve) => {
    if (over.aborted) resolve();
    over.addEventListener('abort', () => resolve(), { once: true });
  });
  const deadline = setTimeout(() => process.exit(1), CLOSE_DEADLINE_MS);
  await open.disposeAsync();
  clearTimeout(deadline);
  log.info('worker ended');
  return 0;
}
