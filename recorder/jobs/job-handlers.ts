import type { Logger } from 'pino';
import { InferenceError } from '../../inference/errors.ts';
import { RecorderError } from '../errors.ts';
import type { JobError, JobKind, JobRecord } from './job.ts';

/** What an attempt works with. */
export interface JobContext {
  readonly job: JobRecord;
  /** Number of the attempt, 1..: what it puts into `temp/` it names by job and attempt. */
  readonly attempt: number;
  /** Aborts with a RecorderError 'job-cancelled' | 'lease-lost' | 'worker-draining': clean up and end soon. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Tells how far it is; as often as one likes. @param percent 0..100 */
  progress(stage: string, percent: number): void;
  /**
   * Asked right before what can't be undone, such as giving a result its name.
   * @throws RecorderError 'job-cancelled' | 'lease-lost' where it must not be done any more
   */
  confirm(): Promise<void>;
}

/** How jobs of one kind are done. */
export interface JobHandler {
  /**
   * Does it. It may be tried again after any failure, also after one that its process did not survive.
   * @throws RecorderError 'job-rejected' where another attempt would not help
   */
  run(context: JobContext): Promise<void>;
  /** Removes what attempt number `attempt` left behind, whether it failed, was cancelled or its process was killed. */
  cleanUp?(job: JobRecord, attempt: number): Promise<void>;
}

export type JobHandlers = ReadonlyMap<JobKind, JobHandler>;

/** @throws RecorderError 'no-handler' */
export function handlerOf(handlers: JobHandlers, kind: JobKind): JobHandler {
  const handler = handlers.get(kind);
  if (handler) return handler;
  const known = [...handlers.keys()].join(', ') || 'none';
  throw new RecorderError('no-handler', `this worker can't do ${kind} jobs (it can do: ${known})`);
}

/** Faults of the user's that pass: space is freed, a folder is mended. */
const PASSING = new Set(['aborted', 'no-space', 'output-unwritable']);

/** Whether the same would fail again. */
export function isLasting(error: unknown): boolean {
  if (error instanceof RecorderError) return error.code === 'job-rejected';
  return error instanceof InferenceError && error.fault === 'input' && !PASSING.has(error.code);
}

/** What may be told of a failure: messages that are not made for strangers stay in the log. */
export function jobErrorOf(error: unknown): JobError {
  if (error instanceof RecorderError) return { code: error.code, message: error.message };
  if (error instanceof InferenceError) {
    const message = error.fault === 'input' ? 'the video can not be worked on' : 'the engine failed';
    return { code: error.code, message };
  }
  return { code: 'internal', message: 'the job failed for a reason of our own' };
}
