import type { JobError, JobRecord, JobTier, NewJob } from './job.ts';

/** How a job is taken on. */
export interface ClaimTerms {
  /** Names this attempt alone; every later write of it must show it. */
  readonly lease: string;
  /** The attempt is given up for lost when it has not been renewed for so long. */
  readonly leaseMs: number;
  /** Jobs of one owner that may run at a time, over all workers. */
  readonly perOwner: number;
}

export interface ClaimedJob {
  readonly job: JobRecord;
  /** Number of the attempt before, where its worker is gone and may have left things behind; else null. */
  readonly abandonedAttempt: number | null;
}

/**
 * Why one particular job was not claimed: `over` where it has ended or is not there, `owner-full` where its owner has
 * enough running; `later` where it may be in `waitMs`, as it is to wait or another worker has it.
 */
export type ClaimRefusal =
  | { readonly refused: 'over' | 'owner-full' }
  | { readonly refused: 'later'; readonly waitMs: number };

/** How an attempt ended. */
export type JobOutcome =
  | { readonly state: 'done' | 'cancelled' }
  | { readonly state: 'failed'; readonly error: JobError }
  /** @param counted false where this attempt never did anything */
  | { readonly state: 'dead'; readonly error: JobError; readonly counted: boolean }
  /** Tried again after `delayMs`. `counted` is false where a closing worker hands it back. */
  | { readonly state: 'queued'; readonly delayMs: number; readonly error: JobError | null; readonly counted: boolean };

export interface JobProgress {
  readonly stage: string;
  /** 0..100 */
  readonly progress: number;
}

/** Which jobs could be claimed now, and by whom they are to be told about. */
export interface DueQuery {
  /** Only this owner's; null: everybody's. */
  readonly owner: string | null;
  readonly perOwner: number;
  /** Only those that could have been claimed for so long. */
  readonly overdueMs: number;
  readonly limit: number;
}

/**
 * Jobs, in rows that outlive processes and that several share. Rows are the truth about a job; whatever else carries
 * jobs to workers only says that there may be one. All times are the store's own clock's.
 */
export interface JobStore {
  /** @returns what is there: `created` is false where the owner had made a job with this key before */
  insert(job: NewJob): Promise<{ job: JobRecord; created: boolean }>;
  get(id: string): Promise<JobRecord | null>;
  /** Those of them that are there, in any order. */
  getMany(ids: readonly string[]): Promise<JobRecord[]>;
  countQueued(): Promise<number>;
  /** Takes on whichever is next of the first of `tiers` that has one; of lost workers' jobs, before all others. */
  claimNext(tiers: readonly JobTier[], terms: ClaimTerms): Promise<ClaimedJob | null>;
  /** Takes on this one. */
  claim(id: string, terms: ClaimTerms): Promise<ClaimedJob | ClaimRefusal>;
  /** Prolongs a lease, and writes down how far the attempt is. @returns null where the lease is lost */
  renew(id: string, terms: Pick<ClaimTerms, 'lease' | 'leaseMs'>, at: JobProgress | null): Promise<JobRecord | null>;
  /** Ends an attempt. Nothing is done where it was to be cancelled meanwhile. @returns null then, and for a lost lease */
  settle(id: string, lease: string, outcome: JobOutcome): Promise<JobRecord | null>;
  /** Ends a queued one; a running one's worker is asked to. @returns null where there is none */
  cancel(id: string): Promise<JobRecord | null>;
  /** Queues a dead one as if it were new. @returns null where it is not dead */
  redrive(id: string): Promise<JobRecord | null>;
  /** Dead ones, the newest first. */
  listDead(limit: number): Promise<JobRecord[]>;
  due(query: DueQuery): Promise<JobRecord[]>;
  /** Erases what ended so long ago. @returns how many that were */
  sweep(endedForMs: number): Promise<number>;
}
