import { fork } from 'node:child_process';
import { join } from 'node:path';
import { InferenceError, type InferenceErrorCode } from '../../inference/errors.ts';

/** What a video's container says of it, before a picture is decoded. */
export interface Probe {
  /** In pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** Null where nothing says. */
  readonly durationSeconds: number | null;
}

/** What the process of a probe answers. */
export type ProbeMessage = { readonly probe: Probe } | { readonly code: InferenceErrorCode; readonly message: string };

/** Headers are read within this time, or it is no file that anybody made to be watched. */
const LIMIT_MS = 30_000;

/**
 * Reads what a video file says of itself, in a process of its own, as the file is a stranger's.
 * @throws InferenceError as `InputFile.open`; 'child-died' | 'child-hung' | 'aborted'
 */
export async function probeVideo(path: string, signal: AbortSignal): Promise<Probe> {
  if (signal.aborted) throw new InferenceError('aborted', 'stopped before it started');
  const child = fork(join(import.meta.dirname, 'probe-process.ts'), {
    // What parses strangers' files gets none of our environment.
    env: {},
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const deadline = AbortSignal.timeout(LIMIT_MS);
  const over = AbortSignal.any([signal, deadline]);
  const kill = () => child.kill('SIGKILL');
  over.addEventListener('abort', kill, { once: true });
  try {
    return await new Promise<Probe>((fulfil, reject) => {
      let answer: ProbeMessage | undefined;
      child.once('message', (message: ProbeMessage) => {
        answer = message;
        kill();
      });
      child.once('error', (cause) => reject(new InferenceError('child-died', 'no process to probe', { cause })));
      child.once('close', () => {
        if (answer && 'probe' in answer) fulfil(answer.probe);
        else if (answer) reject(new InferenceError(answer.code, answer.message));
        else if (signal.aborted) reject(new InferenceError('aborted', 'stopped'));
        else if (deadline.aborted) reject(new InferenceError('child-hung', 'the header can not be read in time'));
        else reject(new InferenceError('child-died', 'the process that read the header died'));
      });
      child.send(path, (error) => error && kill());
    });
  } finally {
    over.removeEventListener('abort', kill);
  }
}
