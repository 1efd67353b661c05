import { Log } from 'node-av';
import { AV_LOG_QUIET } from 'node-av/constants';
import { asInferenceError } from '../../inference/errors.ts';
import { FileJob, type FileJobOptions } from '../../inference/file-job.ts';

/** How one job of many in this process ended. */
export type FuzzedEnd =
  | { readonly frames: number; readonly coveredWhole: number }
  | { readonly code: string; readonly fault: string; readonly message: string; readonly stack: string };

// Runs one job after another in one process, as `file-job-process` runs one: that alone takes longer than the job.
Log.setLevel(AV_LOG_QUIET);
process.on('message', (options: FileJobOptions) => void run(options));
process.send?.('ready');

async function run(options: FileJobOptions): Promise<void> {
  const hooks = { onProgress: () => undefined, onWarning: () => undefined };
  try {
    const { frames, coveredWhole } = await new FileJob(options, hooks).run();
    process.send?.({ frames, coveredWhole } satisfies FuzzedEnd);
  } catch (error) {
    const { code, fault, message } = asInferenceError(error, 'run-failed', 'the job failed');
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    process.send?.({ code, fault, message, stack } satisfies FuzzedEnd);
  }
}
