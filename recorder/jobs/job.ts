/** What a job does with a video or a recording. */
export const JOB_KINDS = ['analyse', 'render', 'finalise'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** How soon it is served. */
export const JOB_TIERS = ['high', 'normal', 'low'] as const;
export type JobTier = (typeof JOB_TIERS)[number];

/**
 * `failed`: what it was given can't be worked on, and trying again would not help. `dead`: every attempt failed, or
 * nobody could handle it; it waits to be driven again.
 */
export const JOB_STATES = ['queued', 'running', 'done', 'failed', 'cancelled', 'dead'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Allowed moves. A dead job is queued again only by hand; a running one after a failure, a drain or a lost worker. */
export const JOB_MOVES: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ['running', 'cancelled'],
  running: ['queued', 'done', 'failed', 'cancelled', 'dead'],
  done: [],
  failed: [],
  cancelled: [],
  dead: ['queued'],
};

/** Why a job failed, as it may be shown to whoever asked for it: no path, no stack. */
export interface JobError {
  readonly code: string;
  readonly message: string;
}

/** JSON, of at most `MAX_PAYLOAD_BYTES`. */
export type JobPayload = Readonly<Record<string, unknown>>;

export const MAX_PAYLOAD_BYTES = 65_536;

/** A job without what it was given: what is told of it. */
export interface JobNews {
  readonly id: string;
  readonly kind: JobKind;
  readonly tier: JobTier;
  readonly owner: string;
  readonly state: JobState;
  /** What its handler says it is doing; null before it says so. */
  readonly stage: string | null;
  /** 0..100, of the attempt that runs. */
  readonly progress: number;
  /** How often it was begun. One that a closing worker handed back does not count. */
  readonly attempts: number;
  readonly error: JobError | null;
  /** It is to end, and has not yet. */
  readonly cancelRequested: boolean;
  /** Grows with each change: of two pieces of news, the one with more is newer. */
  readonly revision: number;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

export interface JobRecord extends JobNews {
  readonly payload: JobPayload;
}

export interface NewJob {
  readonly id: string;
  readonly kind: JobKind;
  readonly tier: JobTier;
  readonly owner: string;
  readonly payload: JobPayload;
  /** Of one owner, two jobs with the same key are one. */
  readonly idempotencyKey: string | null;
  /** Whether a webhook is to tell of its end. */
  readonly notify: boolean;
}

/** Whether it will not change any more, unless it is driven again. */
export function hasEnded({ state }: Pick<JobNews, 'state'>): boolean {
  return state !== 'queued' && state !== 'running';
}

/** Leaves out what a job was given. */
export function newsOf({ payload: _, ...news }: JobRecord): JobNews {
  return news;
}
