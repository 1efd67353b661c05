import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { RecorderError } from '../errors.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import { type JobRecord, newsOf } from './job.ts';
import type { Claim } from './job-dispatch.ts';
import type { JobEvents } from './job-events.ts';
import { handlerOf, isLasting, type JobContext, type JobHandlers, jobErrorOf } from './job-handlers.ts';
import type { JobOutcome, JobProgress, JobStore } from './job-store.ts';

export interface AttemptTerms {
  readonly leaseMs: number;
  /** A lease is prolonged, progress written down and a cancellation noticed so often. */
  readonly beatMs: number;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

export interface AttemptParts {
  readonly store: JobStore;
  readonly events: JobEvents;
  readonly handlers: JobHandlers;
  readonly terms: AttemptTerms;
  readonly log: Logger;
}

/** A stage is a short name. */
const MAX_STAGE_LENGTH = 64;
const RETRY_MS = 200;

/** One try at one job, from its claim until the store knows how it ended. */
export class JobAttempt {
  readonly #claim: Claim;
  readonly #parts: AttemptParts;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  #job: JobRecord;
  #progress: JobProgress | null = null;
  /** Past it, somebody else may have the job. */
  #leaseEndsAtMs: number;
  #beating: Promise<void> | null = null;

  /** @param claimedAtMs `performance.now()` from before the claim */
  constructor(claim: Claim, claimedAtMs: number, parts: AttemptParts) {
    this.#claim = claim;
    this.#parts = parts;
    this.#job = claim.job;
    this.#leaseEndsAtMs = claimedAtMs + parts.terms.leaseMs;
    this.#log = parts.log.child({ job: claim.job.id, kind: claim.job.kind, attempt: claim.job.attempts });
  }

  get id(): string {
    return this.#job.id;
  }

  /** The job is to be cancelled, perhaps: looks at once, not at the next beat. */
  poke(): void {
    void this.#beat();
  }

  /** Asks the handler to end; the job is handed back. */
  drain(): void {
    this.#abort.abort(new RecorderError('worker-draining', 'the worker closes'));
  }

  get #abortCode(): string | null {
    const { aborted, reason } = this.#abort.signal;
    return aborted ? (reason as RecorderError).code : null;
  }

  /** Never fails. */
  async run(): Promise<void> {
    this.#parts.events.publish(newsOf(this.#job));
    this.#log.info({ tier: this.#job.tier }, 'job begun');
    const timer = setInterval(() => void this.#beat(), this.#parts.terms.beatMs);
    let outcome: JobOutcome;
    try {
      outcome = await this.#work();
      await this.#beating;
    } finally {
      clearInterval(timer);
    }
    await this.#settle(outcome);
  }

  async #work(): Promise<JobOutcome> {
    const { terms, handlers } = this.#parts;
    const { abandonedAttempt } = this.#claim;
    if (abandonedAttempt !== null) {
      this.#log.warn({ abandonedAttempt }, 'job taken over from a worker that is gone');
      await this.#cleanUp(abandonedAttempt);
    }
    if (this.#job.cancelRequested) return { state: 'cancelled' };
    if (this.#job.attempts > terms.maxAttempts) {
      const error = { code: 'worker-lost', message: `${terms.maxAttempts} workers died at this job` };
      return { state: 'dead', error, counted: false };
    }
    try {
      await handlerOf(handlers, this.#job.kind).run(this.#context());
      // It may have been done in spite of a drain; what was cancelled or lost is not done.
      if (this.#abortCode !== 'worker-draining') this.#abort.signal.throwIfAborted();
      return { state: 'done' };
    } catch (error) {
      await this.#cleanUp(this.#job.attempts);
      return this.#outcomeOf(error);
    }
  }

  #context(): JobContext {
    return {
      job: this.#job,
      attempt: this.#job.attempts,
      signal: this.#abort.signal,
      log: this.#log,
      progress: (stage, percent) => {
        // Of an unknown whole, nothing is done.
        const known = Number.isNaN(percent) ? 0 : percent;
        const progress = Math.round(Math.min(100, Math.max(0, known)) * 10) / 10;
        this.#progress = { stage: stage.slice(0, MAX_STAGE_LENGTH), progress };
      },
      confirm: async () => {
        await this.#beat();
        this.#abort.signal.throwIfAborted();
      },
    };
  }

  #outcomeOf(error: unknown): JobOutcome {
    const { maxAttempts, backoff } = this.#parts.terms;
    if (this.#abortCode === 'job-cancelled') return { state: 'cancelled' };
    if (this.#abortCode === 'worker-draining') return { state: 'queued', delayMs: 0, error: null, counted: false };
    const told = jobErrorOf(error);
    if (isLasting(error)) return { state: 'failed', error: told };
    this.#log.warn({ err: error }, 'attempt failed');
    if (told.code === 'no-handler' || this.#job.attempts >= maxAttempts) {
      return { state: 'dead', error: told, counted: true };
    }
    return { state: 'queued', delayMs: backoffMs(backoff, this.#job.attempts), error: told, counted: true };
  }

  async #cleanUp(attempt: number): Promise<void> {
    try {
      await this.#parts.handlers.get(this.#job.kind)?.cleanUp?.(this.#job, attempt);
    } catch (error) {
      // What is left in temp/ ends with the bucket's lifecycle rule.
      this.#log.error({ err: error, abandonedAttempt: attempt }, 'what an attempt left behind could not be removed');
    }
  }

  #beat(): Promise<void> {
    this.#beating ??= this.#renew().finally(() => {
      this.#beating = null;
    });
    return this.#beating;
  }

  async #renew(): Promise<void> {
    const { store, events, terms } = this.#parts;
    const askedAtMs = performance.now();
    const progress = this.#progress;
    try {
      const { lease } = this.#claim;
      // Its carrier may be away, and is asked beside.
      void this.#claim.renew();
      const job = await store.renew(this.id, { lease, leaseMs: terms.leaseMs }, progress);
      if (job === null) {
        this.#abort.abort(new RecorderError('lease-lost', 'another worker has taken the job over'));
        return;
      }
      this.#leaseEndsAtMs = askedAtMs + terms.leaseMs;
      this.#job = job;
      if (progress !== null) events.publish(newsOf(job));
      if (this.#progress === progress) this.#progress = null;
      if (job.cancelRequested) this.#abort.abort(new RecorderError('job-cancelled', 'the job was cancelled'));
    } catch (error) {
      this.#log.warn({ err: error }, 'the lease of a job could not be prolonged');
      if (performance.now() < this.#leaseEndsAtMs) return;
      this.#abort.abort(new RecorderError('lease-lost', 'the lease could not be prolonged in time'));
    }
  }

  /** Writes down how it ended; while the store is away, as long as the lease holds. */
  async #settle(outcome: JobOutcome): Promise<void> {
    for (;;) {
      try {
        const job = await this.#write(outcome);
        if (job) {
          const { state, attempts, error } = job;
          this.#log.info({ state, attempts, code: error?.code }, 'job attempt ended');
          this.#parts.events.publish(newsOf(job));
        } else {
          this.#log.warn('job lost to another worker');
        }
        const delayMs = outcome.state === 'queued' ? outcome.delayMs : 0;
        await this.#claim.settled(job?.state === 'queued' ? { job, delayMs } : null);
        return;
      } catch (error) {
        this.#log.error({ err: error }, 'the end of a job could not be written down');
        // Somebody else takes it over, and does it again.
        if (performance.now() > this.#leaseEndsAtMs) return;
        await sleep(RETRY_MS);
      }
    }
  }

  async #write(outcome: JobOutcome): Promise<JobRecord | null> {
    const { store } = this.#parts;
    const { lease } = this.#claim;
    const settled = await store.settle(this.id, lease, outcome);
    if (settled || outcome.state === 'cancelled') return settled;
    // It was cancelled in the last moment, or is not ours any more.
    const cancelled = await store.settle(this.id, lease, { state: 'cancelled' });
    if (cancelled && outcome.state === 'done') await this.#cleanUp(this.#job.attempts);
    return cancelled;
  }
}
