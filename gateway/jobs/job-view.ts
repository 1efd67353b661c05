import { hasEnded, type JobNews } from '../../recorder/jobs/job.ts';

/** A job as the contract has it. */
export function jobView(job: JobNews) {
  const { id, kind, tier, state, stage, progress, attempts, error, createdAt, startedAt, finishedAt } = job;
  return { id, kind, tier, state, stage, progress, attempts, error, createdAt, startedAt, finishedAt };
}

/** What whoever watches a job is told of a change. */
export function jobEvent(job: JobNews) {
  const { id, ...view } = jobView(job);
  return { type: hasEnded(job) ? 'job.done' : 'job.progress', job: id, ...view };
}
