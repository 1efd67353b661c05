import { unlinkSync } from 'node:fs';
import { AV_LOG_FATAL, Log } from 'node-av';
import { ModelError } from '../models/errors.ts';
import type { Analysis } from './analysis/analysis.ts';
import { AnalysisJob, type AnalysisJobOptions } from './analysis/analysis-job.ts';
import { asInferenceError, type InferenceErrorCode } from './errors.ts';
import { type BlurFileResult, FileJob, type FileJobHooks, type FileJobOptions } from './file-job.ts';
import type { BlurProgress } from './job-progress.ts';

/** What the process of a job is asked for. */
export type FileJobRequest =
  | { readonly kind: 'blur'; readonly options: FileJobOptions }
  | { readonly kind: 'analyse'; readonly options: AnalysisJobOptions };

/** What comes of it. */
export type FileJobResult<Request extends FileJobRequest> = Request['kind'] extends 'blur' ? BlurFileResult : Analysis;

/** What the process of a job tells its parent. */
export type FileJobMessage =
  | { readonly type: 'progress'; readonly progress: BlurProgress }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'done'; readonly result: BlurFileResult | Analysis }
  | { readonly type: 'failed'; readonly code: InferenceErrorCode; readonly message: string; readonly stack: string };

// The entry point of a job's own process: one job comes in, progress and one end go out.
process.once('message', (request: FileJobRequest) => {
  Log.setLevel(AV_LOG_FATAL);
  // A parent that died can't clean up any more.
  process.once('disconnect', () => {
    for (const path of outputsOf(request)) removeQuietly(path);
    process.exit(1);
  });
  // What the terminal sends to the whole group is the parent's to answer.
  process.on('SIGINT', () => undefined);
  void run(request);
});

async function run(request: FileJobRequest): Promise<void> {
  const hooks: FileJobHooks = {
    onProgress: (progress) => tell({ type: 'progress', progress }),
    onWarning: (message) => tell({ type: 'warning', message }),
  };
  const job = request.kind === 'blur' ? new FileJob(request.options, hooks) : new AnalysisJob(request.options, hooks);
  try {
    tell({ type: 'done', result: await job.run() });
  } catch (error) {
    const code = error instanceof ModelError ? 'model-unusable' : 'run-failed';
    const failure = asInferenceError(error, code, code === 'model-unusable' ? 'models' : 'the job failed');
    const { stack = '' } = error instanceof Error ? error : failure;
    tell({ type: 'failed', code: failure.code, message: failure.message, stack });
  }
}

/** The files that are of no use without the parent. */
function outputsOf({ kind, options }: FileJobRequest): string[] {
  if (kind === 'analyse') return [options.output];
  const { output, report, analysed } = options;
  return [output, ...(report ? [report] : []), ...(analysed?.isTemporary ? [analysed.path] : [])];
}

function tell(message: FileJobMessage): void {
  // A channel that is closed means the parent is gone, which 'disconnect' deals with.
  if (process.connected) process.send?.(message);
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') process.stderr.write(`can't remove ${path}\n`);
  }
}
