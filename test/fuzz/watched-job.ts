import { readFileSync } from 'node:fs';
import { type BlurFileResult, blurFile } from '../../inference/blur-file.ts';
import { InferenceError } from '../../inference/errors.ts';
import { childrenOf, hasProc } from '../clips/processes.ts';

const JOB = 'file-job-process';
const LOOK_EVERY_MS = 15;

export interface Watched {
  /** What was done, or how it was refused. */
  readonly end: BlurFileResult | InferenceError;
  /** Of the job's process, in bytes; 0 where the system does not tell. */
  readonly peakBytes: number;
}

/** Blurs a file as a user would, and sees how much memory its process takes at most. */
export async function watchedJob(input: string, output: string, onStart?: () => void): Promise<Watched> {
  let peakBytes = 0;
  const looking = setInterval(() => {
    for (const id of hasProc ? childrenOf(process.pid, JOB) : []) peakBytes = Math.max(peakBytes, peakOf(id));
  }, LOOK_EVERY_MS);
  try {
    const started = { yet: false };
    const end = await blurFile(
      { input, output },
      {
        onProgress: () => {
          if (started.yet) return;
          started.yet = true;
          onStart?.();
        },
      },
    ).catch((error: unknown) => {
      if (error instanceof InferenceError) return error;
      throw error;
    });
    return { end, peakBytes };
  } finally {
    clearInterval(looking);
  }
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
