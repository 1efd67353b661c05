import type { JobTier } from './job.ts';
import type { Claim, JobDispatch } from './job-dispatch.ts';
import type { ClaimTerms, JobStore } from './job-store.ts';
import { WakeUp } from './wake-up.ts';

/** Workers look for jobs in the rows themselves: at once where one is made in this process, else by and by. */
export class RowDispatch implements JobDispatch {
  readonly #store: JobStore;
  readonly #wakeUp = new WakeUp();

  /** @param store borrowed */
  constructor(store: JobStore) {
    this.#store = store;
  }

  offer(): void {
    this.#wakeUp.call();
  }

  async take(tiers: readonly JobTier[], terms: ClaimTerms): Promise<Claim | null> {
    const claimed = await this.#store.claimNext(tiers, terms);
    if (!claimed) return null;
    // The owner may have had others waiting for this one to end.
    return { ...claimed, lease: terms.lease, renew: async () => {}, settled: async () => this.#wakeUp.call() };
  }

  wait(limitMs: number, signal: AbortSignal): Promise<void> {
    return this.#wakeUp.wait(limitMs, signal);
  }

  async close(): Promise<void> {
    this.#wakeUp.call();
  }
}
