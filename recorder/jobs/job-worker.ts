import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { JobNews } from './job.ts';
import { type AttemptTerms, JobAttempt } from './job-attempt.ts';
import type { JobDispatch } from './job-dispatch.ts';
import type { JobEvents } from './job-events.ts';
import type { JobHandlers } from './job-handlers.ts';
import type { JobStore } from './job-store.ts';
import { TIER_WEIGHTS, TierTurns, type TierWeights } from './tier-turns.ts';

export interface WorkerTerms extends AttemptTerms {
  /** Jobs at a time. */
  readonly concurrency: number;
  /** Jobs of one owner at a time, over all workers. */
  readonly perOwner: number;
  /** Looked for again after so long, where nobody says that there is one. */
  readonly pollMs: number;
  readonly weights: TierWeights;
}

export const WORKER_TERMS: WorkerTerms = Object.freeze({
  concurrency: 1,
  perOwner: 4,
  pollMs: 1_000,
  weights: TIER_WEIGHTS,
  leaseMs: 20_000,
  beatMs: 1_000,
  maxAttempts: 5,
  backoff: Object.freeze({ baseMs: 1_000, capMs: 60_000 }),
});

export interface JobWorkerOptions {
  /** Borrowed. */
  readonly store: JobStore;
  /** Borrowed. */
  readonly events: JobEvents;
  /** Borrowed. */
  readonly dispatch: JobDispatch;
  readonly handlers: JobHandlers;
  readonly terms?: Partial<WorkerTerms>;
  readonly log: Logger;
  /** Called when a look for a job found none while nothing runs, once a `pollMs`, with how many that were in a row. */
  readonly onIdle?: (polls: number) => void;
}

const MAX_RETRY_MS = 10_000;
/** Timers may come a little early. */
const NEARLY = 0.9;

/** Takes jobs on and does them, several at a time, until it is closed. */
export class JobWorker {
  readonly #options: JobWorkerOptions;
  readonly #terms: WorkerTerms;
  readonly #turns: TierTurns;
  readonly #running = new Map<JobAttempt, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #loop: Promise<void>;
  #free: (() => void) | null = null;
  #closing: Promise<void> | undefined;

  constructor(options: JobWorkerOptions) {
    this.#options = options;
    this.#terms = Object.freeze({ ...WORKER_TERMS, ...options.terms });
    this.#turns = new TierTurns(this.#terms.weights);
    this.#unsubscribe = options.events.subscribe((news) => this.#heard(news));
    this.#loop = this.#run();
  }

  /** Jobs that run now. */
  get running(): number {
    return this.#running.size;
  }

  /** Takes nothing on any more, asks what runs to end, and hands it back. Resolves when that is written down. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    this.#free?.();
    await this.#loop;
    for (const attempt of this.#running.keys()) attempt.drain();
    await Promise.all(this.#running.values());
    this.#unsubscribe();
  }

  #heard({ id, cancelRequested, state }: JobNews): void {
    if (!cancelRequested || state !== 'running') return;
    for (const attempt of this.#running.keys()) if (attempt.id === id) attempt.poke();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let idlePolls = 0;
    let countedAtMs = Number.NEGATIVE_INFINITY;
    let failures = 0;
    while (!signal.aborted) {
      if (this.#running.size >= this.#terms.concurrency) {
        await this.#slot();
        continue;
      }
      let pauseMs = this.#terms.pollMs;
      try {
        if (await this.#takeOne()) {
          idlePolls = 0;
          failures = 0;
          continue;
        }
        failures = 0;
        // What wakes us for a job that another worker was faster to take makes us look more often.
        const sinceMs = performance.now() - countedAtMs;
        if (this.#running.size === 0 && sinceMs >= this.#terms.pollMs * NEARLY) {
          countedAtMs = performance.now();
          this.#options.onIdle?.(++idlePolls);
        }
      } catch (error) {
        // The store or Redis is away: what is queued stays there.
        if (failures++ === 0) this.#options.log.error({ err: error }, 'no jobs can be taken on; trying again');
        pauseMs = Math.min(MAX_RETRY_MS, this.#terms.pollMs * 2 ** Math.min(failures, 8));
      }
      await this.#options.dispatch.wait(pauseMs, signal);
    }
  }

  async #takeOne(): Promise<boolean> {
    const { dispatch, store, events, handlers, log } = this.#options;
    const { leaseMs, perOwner } = this.#terms;
    const claimedAtMs = performance.now();
    const claim = await dispatch.take(this.#turns.next(), { lease: randomUUID(), leaseMs, perOwner });
    if (!claim) return false;
    const attempt = new JobAttempt(claim, claimedAtMs, { store, events, handlers, terms: this.#terms, log });
    const ended = attempt.run().finally(() => {
      this.#running.delete(attempt);
      this.#free?.();
    });
    this.#running.set(attempt, ended);
    return true;
  }

  #slot(): Promise<void> {
    return new Promise((resolve) => {
      this.#free = () => {
        this.#free = null;
        resolve();
      };
    });
  }
}
