import type { JobKind } from '../../recorder/jobs/job.ts';
import type { JobHandler, JobHandlers } from '../../recorder/jobs/job-handlers.ts';
import { AnalyseVideo } from '../../recorder/videos/analyse-video.ts';
import { RenderVideo } from '../../recorder/videos/render-video.ts';
import type { VideoJobs } from '../videos/video-jobs.ts';

/** Who does which kind of job, in the server as in `faceblur worker`. A kind that is not here ends as dead. */
export function createJobHandlers({ parts }: Pick<VideoJobs, 'parts'>): JobHandlers {
  return new Map<JobKind, JobHandler>([
    ['analyse', new AnalyseVideo(parts)],
    ['render', new RenderVideo(parts)],
  ]);
}
