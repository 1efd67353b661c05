import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { InferenceError } from './errors.ts';
import type { FileJobMessage, FileJobRequest, FileJobResult } from './file-job-process.ts';
import type { BlurProgress } from './job-progress.ts';

/** What happens in a job is told by these; `signal` ends it. */
export interface JobHooks {
  onProgress?(progress: BlurProgress): void;
  onWarning?(message: string): void;
  readonly signal?: AbortSignal;
}

/**
 * Pictures are counted as V8's own memory, and a few dozen more of them would make it collect its old generation, in
 * which there is nothing to collect: at twice a second that took a twentieth of a job's time.
 */
const NODE_FLAGS = ['--heap-growing-percent=500', '--max-semi-space-size=4', '--single-threaded-gc'];
/** What a crashed process said last is kept up to this many characters. */
const STDERR_TAIL = 2000;
/** Between two frames nothing takes so long, however large they are. */
const MAX_SILENCE_MS = 120_000;

/**
 * Runs one job in a process of its own.
 * @throws InferenceError 'aborted' | 'child-died' | 'child-hung', or what the job failed with
 */
export async function runInChild<Request extends FileJobRequest>(
  request: Request,
  { onProgress, onWarning, signal }: JobHooks,
): Promise<FileJobResult<Request>> {
  if (signal?.aborted) throw new InferenceError('aborted', 'stopped before it started');
  const child = fork(join(import.meta.dirname, 'file-job-process.ts'), {
    serialization: 'advanced',
    execArgv: NODE_FLAGS,
    // What parses strangers' files gets none of our environment. One heap a thread, glibc's habit, would keep tens of
    // megabytes that nobody uses; SVT-AV1 tells of errors only.
    env: { MALLOC_ARENA_MAX: '2', SVT_LOG: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  let lastWords = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-STDERR_TAIL);
  });
  const silence = new Silence(abort);
  try {
    return await new Promise<FileJobResult<Request>>((fulfil, reject) => {
      let end: FileJobMessage | undefined;
      child.on('message', (message: FileJobMessage) => {
        if (message.type === 'progress') {
          silence.heard(message.progress.stage);
          onProgress?.(message.progress);
        } else if (message.type === 'warning') onWarning?.(message.message);
        else {
          end = message;
          child.kill('SIGKILL');
        }
      });
      child.once('error', (cause) =>
        reject(new InferenceError('child-died', `no process for the job: ${cause.message}`, { cause })),
      );
      // 'close' comes after the exit and after all its output was read: nothing holds the files any more.
      child.once('close', (code, killedBy) => {
        if (end?.type === 'done') fulfil(end.result as FileJobResult<Request>);
        else if (signal?.aborted) reject(new InferenceError('aborted', 'stopped'));
        else if (end?.type === 'failed') reject(failureOf(end));
        else if (silence.isOver) reject(new InferenceError('child-hung', 'the job hung; it was ended'));
        else
          reject(new InferenceError('child-died', `the job's process died (${killedBy ?? code}) ${lastWords.trim()}`));
      });
      child.send(request, (error) => error && child.kill('SIGKILL'));
    });
  } finally {
    silence.close();
    signal?.removeEventListener('abort', abort);
    reap(child);
  }
}

/** Ends a job that is silent for too long between two frames. */
class Silence {
  readonly #end: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(end: () => void) {
    this.#end = end;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Models that are fetched before the first frame, and files written anew after the last, take as long as they take. */
  heard(stage: BlurProgress['stage']): void {
    clearTimeout(this.#timer);
    if (stage !== 'analysing' && stage !== 'blurring') return;
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#end();
    }, MAX_SILENCE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

function failureOf({ code, message, stack }: Extract<FileJobMessage, { type: 'failed' }>): InferenceError {
  const error = new InferenceError(code, message);
  error.stack = stack;
  return error;
}

function reap(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}
