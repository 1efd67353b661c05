import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { RecorderError } from '../errors.ts';
import {
  type JobKind,
  type JobNews,
  type JobPayload,
  type JobRecord,
  type JobTier,
  MAX_PAYLOAD_BYTES,
  newsOf,
} from './job.ts';
import type { JobDispatch } from './job-dispatch.ts';
import type { JobEvents, JobListener } from './job-events.ts';
import type { JobStore } from './job-store.ts';
import { JobWatch } from './job-watch.ts';

export interface JobRequest {
  readonly kind: JobKind;
  readonly payload: JobPayload;
  /** `normal` when left out. */
  readonly tier?: JobTier;
  /** Whose it is: of one owner only so many run at a time. */
  readonly owner: string;
  /** Asked again with the same key, the owner gets the same job. */
  readonly idempotencyKey?: string | null;
}

/** Queued file work, wherever it is done. */
export interface JobQueue {
  /** @throws RecorderError 'bad-job' | 'job-conflict' | 'job-queue-full' */
  enqueue(request: JobRequest): Promise<JobRecord>;
  /** @returns null where there is none */
  get(id: string): Promise<JobRecord | null>;
  /** A queued job ends at once, a running one soon; one that has ended stays so. @throws RecorderError 'job-not-found' */
  cancel(id: string): Promise<JobRecord>;
  /** Queues a dead job as if it were new. @throws RecorderError 'job-not-found' | 'job-not-dead' */
  redrive(id: string): Promise<JobRecord>;
  /** Dead jobs, the newest first. */
  listDead(limit: number): Promise<JobRecord[]>;
  /**
   * Tells of each change from here on, in order, wherever the job runs; what follows fast may be told as one.
   * @returns how it is now, and the unsubscribe
   * @throws RecorderError 'job-not-found'
   */
  watch(id: string, listener: JobListener): Promise<{ readonly job: JobNews; readonly stop: () => void }>;
  close(): Promise<void>;
}

export interface JobQueueOptions {
  /** Borrowed. */
  readonly store: JobStore;
  /** Borrowed. */
  readonly events: JobEvents;
  /** Borrowed. */
  readonly dispatch: JobDispatch;
  /** Jobs that may wait at a time. */
  readonly maxQueued?: number;
  /** Whether ends are to be told by a webhook. */
  readonly notify?: boolean;
  /** Rows are looked at so often for what nobody told, of jobs that somebody watches. */
  readonly watchPollMs?: number;
  readonly log: Logger;
}

const MAX_QUEUED = 10_000;
const WATCH_POLL_MS = 1_000;
const MAX_NAME_LENGTH = 255;

/** The queue over rows, and over whatever carries jobs from them to workers. */
export class StoredJobQueue implements JobQueue {
  readonly #options: JobQueueOptions;
  readonly #watch: JobWatch;

  constructor(options: JobQueueOptions) {
    this.#options = options;
    const { store, events, log, watchPollMs: pollMs = WATCH_POLL_MS } = options;
    this.#watch = new JobWatch({ store, events, pollMs, log });
  }

  async enqueue(request: JobRequest): Promise<JobRecord> {
    const { store, events, dispatch, notify = false, maxQueued = MAX_QUEUED } = this.#options;
    const { kind, owner, tier = 'normal', idempotencyKey = null } = request;
    const payload = checked(request);
    if ((await store.countQueued()) >= maxQueued) {
      throw new RecorderError('job-queue-full', `${maxQueued} jobs wait already; try again later`);
    }
    const { job, created } = await store.insert({
      id: randomUUID(),
      kind,
      tier,
      owner,
      payload,
      idempotencyKey,
      notify,
    });
    if (created) {
      events.publish(newsOf(job));
      dispatch.offer(job);
    } else if (job.kind !== kind || !isDeepStrictEqual({ ...job.payload }, payload)) {
      throw new RecorderError('job-conflict', 'this idempotency key was used for another job');
    }
    return job;
  }

  get(id: string): Promise<JobRecord | null> {
    return this.#options.store.get(id);
  }

  async cancel(id: string): Promise<JobRecord> {
    const job = await this.#options.store.cancel(id);
    if (!job) throw new RecorderError('job-not-found', 'there is no such job');
    this.#options.events.publish(newsOf(job));
    return job;
  }

  async redrive(id: string): Promise<JobRecord> {
    const { store, events, dispatch } = this.#options;
    const job = await store.redrive(id);
    if (!job) {
      const there = await store.get(id);
      if (!there) throw new RecorderError('job-not-found', 'there is no such job');
      throw new RecorderError('job-not-dead', `the job is ${there.state}; only a dead one can be driven again`);
    }
    events.publish(newsOf(job));
    dispatch.offer(job);
    return job;
  }

  listDead(limit: number): Promise<JobRecord[]> {
    return this.#options.store.listDead(limit);
  }

  async watch(id: string, listener: JobListener): Promise<{ job: JobNews; stop: () => void }> {
    // Before it is read: what changes in between must not be missed.
    const watched = this.#watch.add(id, listener);
    const job = await this.#options.store.get(id).catch((error) => {
      watched.stop();
      throw error;
    });
    if (!job) {
      watched.stop();
      throw new RecorderError('job-not-found', 'there is no such job');
    }
    const news = newsOf(job);
    watched.begin(news);
    return { job: news, stop: watched.stop };
  }

  async close(): Promise<void> {
    this.#watch.close();
  }
}

/** @returns the payload as it will be read back */
function checked({ payload, owner, idempotencyKey }: JobRequest): JobPayload {
  const text = JSON.stringify(payload);
  if (Buffer.byteLength(text) > MAX_PAYLOAD_BYTES) {
    throw new RecorderError('bad-job', `what a job is given must be at most ${MAX_PAYLOAD_BYTES} bytes of JSON`);
  }
  if (owner.length > MAX_NAME_LENGTH || (idempotencyKey?.length ?? 0) > MAX_NAME_LENGTH) {
    throw new RecorderError('bad-job', `owner and idempotency key must be at most ${MAX_NAME_LENGTH} characters`);
  }
  return JSON.parse(text);
}
