import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { defaultModelLocations, type ModelLocations } from '../models/locations.ts';
import { InferenceError } from './errors.ts';
import type { BlurFileResult, BlurProgress, FileJobOptions } from './file-job.ts';
import type { FileJobMessage } from './file-job-process.ts';
import { asOutputError } from './media/output-error.ts';
import { chooseOutputKind, type VideoCodec } from './media/output-kind.ts';
import { type BlurPolicy, makePolicy } from './policy.ts';

export type { BlurFileResult, BlurProgress } from './file-job.ts';

export interface BlurFileOptions {
  readonly input: string;
  /** Its ending chooses the container: .mp4 (and none), .m4v, .mov, .mkv or .webm. */
  readonly output: string;
  /** The container's usual one when left out: VP9 in WebM, else H.264. */
  readonly codec?: VideoCodec;
  /** Whether tags that describe the file are kept (title, artist, time of creation …); default false. */
  readonly keepMetadata?: boolean;
  readonly policy?: Partial<BlurPolicy>;
  /** Where to write the JSON report of who was covered where. */
  readonly report?: string;
  /** Where model files are looked for; the home folder's cache and the repository's surroundings when left out. */
  readonly models?: ModelLocations;
}

export interface BlurFileHooks {
  onProgress?(progress: BlurProgress): void;
  onWarning?(message: string): void;
  readonly signal?: AbortSignal;
}

/** What a crashed process said last is kept up to this many characters. */
const STDERR_TAIL = 2000;

/**
 * Blurs every face of a video file, in a process of its own. The output appears under its name only when it is whole;
 * nothing is left behind when the job fails or is aborted.
 * @throws InferenceError; `fault` says whose it is
 */
export async function blurFile(options: BlurFileOptions, hooks: BlurFileHooks = {}): Promise<BlurFileResult> {
  const policy = makePolicy(options.policy);
  const kind = chooseOutputKind(options.output, options.codec);
  const output = temporaryBeside(options.output);
  const report = options.report ? temporaryBeside(options.report) : null;
  const job: FileJobOptions = {
    input: resolve(options.input),
    output,
    kind,
    keepMetadata: options.keepMetadata ?? false,
    policy,
    report,
    models: options.models ?? defaultModelLocations({}),
  };
  // Found out now rather than at the end of the work.
  for (const path of [options.output, options.report]) if (path) await checkReplaceable(path);
  try {
    const result = await runInChild(job, hooks);
    if (report && options.report) await publish(report, options.report);
    await publish(output, options.output);
    return result;
  } catch (error) {
    await Promise.all([output, report].map((path) => path && rm(path, { force: true })));
    // Nobody but this function knows the temporary names.
    if (error instanceof InferenceError) {
      error.message = error.message.replaceAll(output, options.output);
      if (report && options.report) error.message = error.message.replaceAll(report, options.report);
    }
    throw error;
  }
}

/** In the same folder, so that the rename at the end is atomic; hidden, and of no kind that a player opens. */
function temporaryBeside(path: string): string {
  return join(dirname(resolve(path)), `.${basename(path)}.${randomUUID().slice(0, 8)}.part`);
}

async function checkReplaceable(path: string): Promise<void> {
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory()) throw new InferenceError('output-unwritable', `${path} is a folder`);
}

async function publish(temporary: string, path: string): Promise<void> {
  await rename(temporary, path).catch((error: unknown) => {
    throw asOutputError(error, path);
  });
}

async function runInChild(
  job: FileJobOptions,
  { onProgress, onWarning, signal }: BlurFileHooks,
): Promise<BlurFileResult> {
  if (signal?.aborted) throw new InferenceError('aborted', 'stopped before it started');
  const child = fork(join(import.meta.dirname, 'file-job-process.ts'), {
    serialization: 'advanced',
    execArgv: [],
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
  try {
    return await new Promise<BlurFileResult>((fulfil, reject) => {
      let end: FileJobMessage | undefined;
      child.on('message', (message: FileJobMessage) => {
        if (message.type === 'progress') onProgress?.(message.progress);
        else if (message.type === 'warning') onWarning?.(message.message);
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
        if (end?.type === 'done') fulfil(end.result);
        else if (signal?.aborted) reject(new InferenceError('aborted', 'stopped'));
        else if (end?.type === 'failed') reject(failureOf(end));
        else
          reject(new InferenceError('child-died', `the job's process died (${killedBy ?? code}) ${lastWords.trim()}`));
      });
      child.send(job, (error) => error && child.kill('SIGKILL'));
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    reap(child);
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
