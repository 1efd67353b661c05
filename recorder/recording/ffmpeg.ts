import type { Readable, Writable } from 'node:stream';
import ffmpeg, { type FfmpegCommand } from 'fluent-ffmpeg';
import { RecorderError } from '../errors.ts';

/** One run of ffmpeg, in a process of its own. */
export interface FfmpegRun {
  /** Resolves when it has written all. @throws RecorderError 'ffmpeg-failed'; the signal's reason where it is aborted */
  readonly done: Promise<void>;
  /** Of its process, once there is one. */
  readonly pid: number | undefined;
  /** SIGKILL; `done` then rejects. */
  kill(): void;
}

export interface FfmpegOrder {
  /** The program. */
  readonly path: string;
  readonly input: string | Readable;
  readonly inputOptions: readonly string[];
  readonly output: string | Writable;
  readonly outputOptions: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Of what ffmpeg said last, so much is told. */
const MAX_WORDS = 200;
const QUIET = ['-hide_banner', '-nostats', '-loglevel', 'error'];

/**
 * The program: FFMPEG_PATH, or the one of @ffmpeg-installer.
 * @throws RecorderError 'ffmpeg-failed' where that package has none for this machine
 */
export async function findFfmpeg(configured: string | null): Promise<string> {
  if (configured !== null) return configured;
  try {
    return (await import('@ffmpeg-installer/ffmpeg')).default.path;
  } catch (error) {
    throw new RecorderError('ffmpeg-failed', 'there is no ffmpeg for this machine; set FFMPEG_PATH', { cause: error });
  }
}

export function runFfmpeg({ path, input, inputOptions, output, outputOptions, signal }: FfmpegOrder): FfmpegRun {
  const command: FfmpegCommand = ffmpeg(input)
    .setFfmpegPath(path)
    .inputOptions([...QUIET, ...inputOptions])
    .outputOptions([...outputOptions]);
  if (typeof output === 'string') command.output(output);
  else command.output(output, { end: true });
  const kill = (): void => void command.kill('SIGKILL');
  const done = new Promise<void>((resolve, reject) => {
    command.once('end', () => resolve());
    command.once('error', (error: Error, _stdout: string | null, stderr: string | null) => {
      if (signal?.aborted) reject(signal.reason);
      else reject(new RecorderError('ffmpeg-failed', lastWords(stderr) || error.message, { cause: error }));
    });
    // What is killed before there is a process would never end.
    command.once('start', () => signal?.aborted && kill());
    signal?.addEventListener('abort', kill, { once: true });
    command.run();
  });
  // Whoever waits for it is told; nobody has to.
  done.catch(() => undefined).finally(() => signal?.removeEventListener('abort', kill));
  return {
    done,
    get pid() {
      return (command as { ffmpegProc?: { pid?: number } }).ffmpegProc?.pid;
    },
    kill,
  };
}

/** One line, without addresses in memory and paths. */
function lastWords(stderr: string | null): string {
  const line = (stderr ?? '').trim().split('\n').at(-1) ?? '';
  return line
    .replace(/ @ 0x[0-9a-f]+/g, '')
    .replace(/(\/[\w.-]+)+\//g, '')
    .slice(0, MAX_WORDS);
}
