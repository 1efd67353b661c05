import type { Logger } from 'pino';
import { RecorderError } from '../../recorder/errors.ts';
import { JobBackend } from '../../recorder/jobs/job-backend.ts';
import type { JobHandlers } from '../../recorder/jobs/job-handlers.ts';
import { type JobQueue, StoredJobQueue } from '../../recorder/jobs/job-queue.ts';
import type { JobStore } from '../../recorder/jobs/job-store.ts';
import { JobWorker } from '../../recorder/jobs/job-worker.ts';
import type { ServerConfig } from '../config.ts';
import { GatewayError } from '../errors.ts';
import { JobWebhooks, type NotificationStore } from './job-webhooks.ts';

export interface JobGatewayOptions {
  readonly config: Pick<ServerConfig, 'redisUrl' | 'jobs' | 'allowPrivateSources'>;
  /** Borrowed: open for as long as this is. */
  readonly store: JobStore & NotificationStore;
  readonly handlers: JobHandlers;
  /** Called when a look for a job found none while nothing runs, once a second, with how many that were in a row. */
  readonly onIdle?: (polls: number) => void;
  readonly log: Logger;
}

/** Ended jobs are forgotten after so long, and with them their idempotency keys. */
const KEPT_MS = 7 * 86_400_000;
const SWEEP_MS = 3_600_000;

/** Jobs, composed: their queue, what carries them, who does them here, and who is told. */
export class JobGateway {
  readonly queue: JobQueue;
  readonly #open: AsyncDisposableStack;
  #closing: Promise<void> | undefined;

  /** @throws GatewayError 'bad-config' naming REDIS_URL when it can't be used */
  static async create(options: JobGatewayOptions): Promise<JobGateway> {
    const { config, store, handlers, onIdle, log } = options;
    const { concurrency, perOwner, webhook } = config.jobs;
    const terms = { concurrency, perOwner };
    await using open = new AsyncDisposableStack();
    const { redisUrl } = config;
    const backend = open.adopt(await openBackend({ store, redisUrl, terms, log }), (b) => b.close());
    const parts = { store, events: backend.events, dispatch: backend.dispatch, log };
    const queue = open.adopt(new StoredJobQueue({ ...parts, notify: webhook !== null }), (q) => q.close());
    if (webhook) {
      const guard = { allowPrivate: config.allowPrivateSources };
      open.adopt(new JobWebhooks({ ...parts, target: webhook, guard }), (w) => w.close());
    }
    const sweep = setInterval(() => {
      store.sweep(KEPT_MS).catch((error) => log.error({ err: error }, 'ended jobs could not be swept'));
    }, SWEEP_MS);
    open.defer(() => clearInterval(sweep));
    if (concurrency > 0) {
      open.adopt(new JobWorker({ ...parts, handlers, terms, ...(onIdle && { onIdle }) }), (w) => w.close());
    }
    return new JobGateway(queue, open.move());
  }

  private constructor(queue: JobQueue, open: AsyncDisposableStack) {
    this.queue = queue;
    this.#open = open;
  }

  /** Hands back what runs. */
  close(): Promise<void> {
    this.#closing ??= this.#open.disposeAsync();
    return this.#closing;
  }
}

async function openBackend(options: Parameters<typeof JobBackend.open>[0]): Promise<JobBackend> {
  try {
    return await JobBackend.open(options);
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    throw new GatewayError('bad-config', `REDIS_URL: ${error.message}`, { cause: error });
  }
}
