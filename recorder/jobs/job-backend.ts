import type { Logger } from 'pino';
import type { JobDispatch } from './job-dispatch.ts';
import { type JobEvents, LocalJobEvents } from './job-events.ts';
import type { JobStore } from './job-store.ts';
import { WORKER_TERMS, type WorkerTerms } from './job-worker.ts';
import type { RedisBus } from './redis-bus.ts';
import { RowDispatch } from './row-dispatch.ts';

export interface JobBackendOptions {
  /** Borrowed. */
  readonly store: JobStore;
  /** Null: rows alone carry jobs and news. A secret, as it may hold a password. */
  readonly redisUrl: string | null;
  /** What all keys in Redis begin with; braces keep them on one node of a cluster. */
  readonly prefix?: string;
  readonly terms?: Partial<WorkerTerms>;
  readonly reconcileMs?: number;
  readonly log: Logger;
}

const PREFIX = '{faceblur}';
const RECONCILE_MS = 5_000;

/** How jobs and news of them travel, beside the store: one column of the design's table. */
export class JobBackend {
  readonly events: JobEvents;
  readonly dispatch: JobDispatch;
  readonly #bus: RedisBus | null;
  #closing: Promise<void> | undefined;

  /** @throws RecorderError 'redis-unreachable' */
  static async open(options: JobBackendOptions): Promise<JobBackend> {
    const { store, redisUrl: url, prefix = PREFIX, terms, reconcileMs = RECONCILE_MS, log } = options;
    if (url === null) return new JobBackend(new LocalJobEvents(), new RowDispatch(store), null);
    // What speaks to Redis is large, and most have none.
    const { RedisBus } = await import('./redis-bus.ts');
    const { RedisDispatch } = await import('./redis-dispatch.ts');
    const { RedisJobEvents } = await import('./redis-events.ts');
    const { leaseMs, perOwner } = { ...WORKER_TERMS, ...terms };
    await using open = new AsyncDisposableStack();
    const bus = open.adopt(await RedisBus.open({ url, prefix, log }), (b) => b.close());
    const events = await RedisJobEvents.open(bus);
    const dispatch = await RedisDispatch.open({ bus, store, leaseMs, perOwner, reconcileMs, log });
    open.move();
    return new JobBackend(events, dispatch, bus);
  }

  private constructor(events: JobEvents, dispatch: JobDispatch, bus: RedisBus | null) {
    this.events = events;
    this.dispatch = dispatch;
    this.#bus = bus;
  }

  /** Close workers and queues first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.dispatch.close();
    await this.events.close();
    await this.#bus?.close();
  }
}
