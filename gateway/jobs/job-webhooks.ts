import type { Logger } from 'pino';
import { type Backoff, backoffMs } from '../../recorder/jobs/backoff.ts';
import { hasEnded, type JobRecord } from '../../recorder/jobs/job.ts';
import type { JobEvents } from '../../recorder/jobs/job-events.ts';
import { WakeUp } from '../../recorder/jobs/wake-up.ts';
import type { AddressGuardOptions } from '../../sfu/address-guard.ts';
import { jobEvent } from './job-view.ts';
import { sendWebhook, type WebhookTarget } from './webhook.ts';

/** Which ends of jobs are still to be told. Kept in rows, so that a process that dies tells no fewer. */
export interface NotificationStore {
  claimNotification(retryMs: (tries: number) => number): Promise<{ job: JobRecord; tries: number } | null>;
  notified(id: string, tries: number): Promise<void>;
}

export interface JobWebhooksOptions {
  /** Borrowed. */
  readonly store: NotificationStore;
  /** Borrowed. */
  readonly events: JobEvents;
  readonly target: WebhookTarget;
  readonly guard: AddressGuardOptions;
  readonly pollMs?: number;
  readonly maxTries?: number;
  readonly backoff?: Backoff;
  readonly log: Logger;
}

const POLL_MS = 2_000;
/** With the backoff below, over about two hours. */
const MAX_TRIES = 12;
/** More than one try may take, as nobody else may begin the next one meanwhile. */
const BACKOFF: Backoff = Object.freeze({ baseMs: 30_000, capMs: 900_000 });

/** Tells one receiver of each job that ends, at least once, with as many tries as it takes within reason. */
export class JobWebhooks {
  readonly #options: Required<JobWebhooksOptions>;
  readonly #wakeUp = new WakeUp();
  readonly #stop = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #loop: Promise<void>;

  constructor(options: JobWebhooksOptions) {
    this.#options = { pollMs: POLL_MS, maxTries: MAX_TRIES, backoff: BACKOFF, ...options };
    this.#unsubscribe = options.events.subscribe((news) => hasEnded(news) && this.#wakeUp.call());
    this.#loop = this.#run();
  }

  /** Waits for a message that is on its way. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { store, backoff, pollMs, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const next = await store.claimNotification((tries) => backoffMs(backoff, tries));
        if (next) await this.#tell(next);
        else await this.#wakeUp.wait(pollMs, signal);
      } catch (error) {
        log.error({ err: error }, 'ends of jobs can not be told');
        await this.#wakeUp.wait(pollMs, signal);
      }
    }
  }

  async #tell({ job, tries }: { job: JobRecord; tries: number }): Promise<void> {
    const { store, target, guard, maxTries, log } = this.#options;
    const { host } = new URL(target.url);
    try {
      await sendWebhook(target, { delivery: `${job.id}:${job.revision}`, body: JSON.stringify(jobEvent(job)) }, guard);
    } catch (error) {
      const last = tries >= maxTries;
      const { code, message } = error as { code?: string; message: string };
      log.warn({ job: job.id, host, tries, code, reason: message }, last ? 'webhook given up' : 'webhook failed');
      if (!last) return;
    }
    await store.notified(job.id, tries);
  }
}
