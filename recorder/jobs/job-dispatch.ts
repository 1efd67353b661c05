import type { JobRecord, JobTier } from './job.ts';
import type { ClaimedJob, ClaimTerms } from './job-store.ts';

/** A job that this worker has taken on, and what its carrier must hear of it. */
export interface Claim extends ClaimedJob {
  readonly lease: string;
  /** The worker is still at it. Never fails: the store's lease is what counts. */
  renew(): Promise<void>;
  /** The attempt has ended, as the store knows. @param next the job, where it is to be tried again in `delayMs` */
  settled(next: { readonly job: JobRecord; readonly delayMs: number } | null): Promise<void>;
}

/** Brings jobs to workers. What it says is a hint: only the store tells who may do what. */
export interface JobDispatch {
  /** There is a job to be done. Never fails: what is not told now is found later. */
  offer(job: JobRecord): void;
  /**
   * Takes on the next job of the first of `tiers` that has one.
   * @returns null where there is none now
   * @throws what the store or the carrier does while it is away
   */
  take(tiers: readonly JobTier[], terms: ClaimTerms): Promise<Claim | null>;
  /** Resolves when there may be something to take, or `signal` aborts. */
  wait(limitMs: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
