import { type Job, Queue, Worker } from 'bullmq';
import type { Logger } from 'pino';
import { JOB_TIERS, type JobRecord, type JobTier } from './job.ts';
import type { Claim, JobDispatch } from './job-dispatch.ts';
import type { ClaimTerms, JobStore } from './job-store.ts';
import type { RedisBus } from './redis-bus.ts';
import { WakeUp } from './wake-up.ts';

export interface RedisDispatchOptions {
  /** Borrowed. */
  readonly bus: RedisBus;
  /** Borrowed. */
  readonly store: JobStore;
  /** A ticket whose worker is silent for so long is given to another. */
  readonly leaseMs: number;
  readonly perOwner: number;
  /** Rows are looked through so often for jobs that have no ticket. */
  readonly reconcileMs: number;
  readonly log: Logger;
}

type Ticket = Job<Record<string, never>, null, string>;

const WAKE = 'job-wake';
/** An owner's jobs that are given a ticket when one of theirs ends. */
const MAX_FED = 16;
/** Jobs that are given a ticket at a time because they have none. */
const MAX_RECONCILED = 500;
/** Tickets looked at in one take, most of which may turn out to be for nothing. */
const MAX_LOOKS = 200;
const LEAST_DELAY_MS = 50;

/**
 * BullMQ carries jobs to workers: a queue a tier, and in it tickets that say no more than a job's id. Whoever takes a
 * ticket asks the store for the job; a ticket for one that is over, or whose owner has enough running, is torn up. As
 * the rows are the truth, tickets that Redis loses are only written anew.
 */
export class RedisDispatch implements JobDispatch {
  readonly #options: RedisDispatchOptions;
  readonly #queues = new Map<JobTier, Queue>();
  readonly #workers = new Map<JobTier, Worker>();
  readonly #wakeUp = new WakeUp();
  readonly #pending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | undefined;

  /** @throws what Redis does */
  static async open(options: RedisDispatchOptions): Promise<RedisDispatch> {
    const dispatch = new RedisDispatch(options);
    await options.bus.subscribe(WAKE, () => dispatch.#wakeUp.call());
    return dispatch;
  }

  private constructor(options: RedisDispatchOptions) {
    this.#options = options;
    const { bus, log } = options;
    for (const tier of JOB_TIERS) {
      const queue = new Queue(queueName(tier), { connection: bus.client, prefix: bus.prefix });
      // The bus tells once that Redis is away.
      queue.on('error', (error) => log.debug({ err: error, tier }, 'job queue failed'));
      this.#queues.set(tier, queue);
    }
  }

  offer(job: JobRecord): void {
    this.#keep(this.#add(job, 0));
  }

  async take(tiers: readonly JobTier[], terms: ClaimTerms): Promise<Claim | null> {
    this.#startTaking();
    let looks = 0;
    for (const tier of tiers) {
      while (looks++ < MAX_LOOKS) {
        const next: Promise<Ticket | undefined> = this.#workers.get(tier)!.getNextJob(terms.lease, { block: false });
        // One that comes too late for us stalls, and is given to another.
        const ticket = await this.#options.bus.answer(next);
        if (!ticket) break;
        const claim = await this.#claim(ticket, terms);
        if (claim) return claim;
      }
    }
    return null;
  }

  wait(limitMs: number, signal: AbortSignal): Promise<void> {
    return this.#wakeUp.wait(limitMs, signal);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#wakeUp.call();
    await Promise.all(this.#pending);
    // By force: what runs has been handed back, and is ours to wait for, not BullMQ's.
    const workers = [...this.#workers.values()].map((worker) => worker.close(true));
    const queues = [...this.#queues.values()].map((queue) => queue.close());
    await this.#try('given back', () => Promise.all([...workers, ...queues]));
  }

  /** Only nodes that work need what follows. */
  #startTaking(): void {
    if (this.#timer) return;
    const { bus, leaseMs, reconcileMs, log } = this.#options;
    for (const tier of JOB_TIERS) {
      const worker = new Worker(queueName(tier), null, {
        connection: bus.client,
        prefix: bus.prefix,
        autorun: false,
        lockDuration: leaseMs,
        stalledInterval: leaseMs / 4,
        // How often a job may be begun is counted in its row.
        maxStalledCount: 1_000_000_000,
      });
      worker.on('error', (error) => log.debug({ err: error, tier }, 'job queue failed'));
      worker.on('stalled', () => this.#wakeUp.call());
      this.#keep(worker.startStalledCheckTimer());
      this.#workers.set(tier, worker);
    }
    this.#timer = setInterval(() => this.#keep(this.#reconcile()), reconcileMs);
  }

  async #claim(ticket: Ticket, terms: ClaimTerms): Promise<Claim | null> {
    const answer = await this.#options.store.claim(ticket.id!, terms);
    if (!('refused' in answer)) {
      return {
        ...answer,
        lease: terms.lease,
        renew: () => this.#try('prolonged', () => ticket.extendLock(terms.lease, terms.leaseMs)),
        settled: (next) =>
          this.#try('given', async () => {
            await this.#tear(ticket, terms.lease);
            if (next) await this.#add(next.job, next.delayMs);
            await this.#feed(answer.job.owner);
          }),
      };
    }
    if (answer.refused === 'later') {
      const at = Date.now() + Math.max(LEAST_DELAY_MS, answer.waitMs);
      await this.#try('put off', () => ticket.moveToDelayed(at, terms.lease));
    } else {
      // For an owner who has enough running, another is written when one of those ends.
      await this.#tear(ticket, terms.lease);
    }
    return null;
  }

  #tear(ticket: Ticket, token: string): Promise<void> {
    return this.#try('torn up', () => ticket.moveToCompleted(null, token, false));
  }

  /** Does nothing where the job has a ticket. */
  async #add({ id, tier }: JobRecord, delayMs: number): Promise<void> {
    const once = { jobId: id, delay: delayMs, removeOnComplete: true, removeOnFail: true, attempts: 1 };
    await this.#queues.get(tier)!.add('job', {}, once);
    this.#wakeUp.call();
    this.#options.bus.publish(WAKE, '');
  }

  async #feed(owner: string): Promise<void> {
    const { store, perOwner } = this.#options;
    const due = await store.due({ owner, perOwner, overdueMs: 0, limit: MAX_FED });
    await Promise.all(due.map((job) => this.#add(job, 0)));
  }

  /** Gives tickets to jobs that have waited for so long that theirs may be lost. */
  async #reconcile(): Promise<void> {
    const { bus, store, perOwner, reconcileMs } = this.#options;
    if (!(await bus.takeTurn('reconcile-jobs', Math.max(1, Math.round(reconcileMs * 0.9))))) return;
    const due = await store.due({ owner: null, perOwner, overdueMs: reconcileMs, limit: MAX_RECONCILED });
    await Promise.all(due.map((job) => this.#add(job, 0)));
  }

  async #try(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await this.#options.bus.answer(work());
    } catch (error) {
      // The ticket stalls, or is missed, and the job is found again.
      this.#options.log.warn({ err: error }, `tickets of jobs could not be ${what}`);
    }
  }

  #keep(work: Promise<void>): void {
    const kept = this.#try('given', () => work).finally(() => this.#pending.delete(kept));
    this.#pending.add(kept);
  }
}

function queueName(tier: JobTier): string {
  return `jobs-${tier}`;
}
