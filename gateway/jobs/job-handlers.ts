import type { JobKind } from '../../recorder/jobs/job.ts';
import type { JobHandler, JobHandlers } from '../../recorder/jobs/job-handlers.ts';

/** Who does which kind of job, in the server as in `faceblur worker`. A kind that is not here ends as dead. */
export function createJobHandlers(): JobHandlers {
  return new Map<JobKind, JobHandler>();
}
