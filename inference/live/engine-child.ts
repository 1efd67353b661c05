import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';
import type { FromEngine, ToEngine } from './engine-messages.ts';

/** Longest that a process may take until its model is loaded. On a busy machine it takes a second. */
const PREPARE_TIMEOUT_MS = 15_000;
/** What a crashed process said last is kept up to this many characters. */
const STDERR_TAIL = 2000;

/** A live engine's process with its model loaded, before or while it serves a stream. Killed to end it. */
export class EngineChild {
  readonly pid: number;
  /** Called for every message after 'prepared'. */
  onMessage: ((message: FromEngine) => void) | undefined;
  readonly #child: ChildProcess;
  readonly #gone: Promise<InferenceError>;
  #isGone = false;
  #lastWords = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-STDERR_TAIL);
    });
    this.#gone = new Promise((resolve) => {
      const end = (reason: string, cause?: Error) => {
        this.#isGone = true;
        resolve(
          new InferenceError('child-died', `the engine's process ${reason} ${this.#lastWords}`.trim(), { cause }),
        );
      };
      child.once('error', (cause) => {
        // Without a process there is no exit to wait for; with one, the channel failed and it is of no use any more.
        if (child.pid === undefined) end(`could not start: ${cause.message}`, cause);
        else child.kill('SIGKILL');
      });
      // 'close' comes after the exit, when its output has been read.
      child.once('close', (code, killedBy) => end(`died (${killedBy ?? code})`));
    });
    child.on('message', (message: FromEngine) => this.onMessage?.(message));
  }

  /**
   * Starts a process and loads its model.
   * @throws InferenceError 'child-died' | 'child-hung' | 'model-unusable'
   */
  static async prepare(models: ModelLocations, signal?: AbortSignal): Promise<EngineChild> {
    if (signal?.aborted) throw new InferenceError('aborted', 'stopped before it started');
    const child = new EngineChild(
      fork(join(import.meta.dirname, 'live-engine-process.ts'), {
        serialization: 'advanced',
        // Its JavaScript makes little garbage: a small young generation and no threads to collect it save 20 MB.
        execArgv: ['--max-semi-space-size=2', '--single-threaded-gc'],
        // What parses strangers' bytes gets none of our environment. One heap a thread, glibc's habit, would keep tens
        // of megabytes that nobody uses.
        env: { MALLOC_ARENA_MAX: '2' },
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      }),
    );
    try {
      await child.#answer('prepared', { type: 'prepare', models }, signal);
      return child;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  /** Resolves when the process is gone, with what there is to say of its end. */
  get gone(): Promise<InferenceError> {
    return this.#gone;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** A process that is gone hears nothing. */
  send(message: ToEngine): void {
    if (!this.#child.connected) return;
    this.#child.send(message, (error) => {
      // A channel that fails has lost a message: what the process knows can't be trusted.
      if (error) this.#child.kill('SIGKILL');
    });
  }

  /** Sends a message and waits for its answer. @throws InferenceError; the process is still the caller's to kill */
  async #answer(wanted: FromEngine['type'], message: ToEngine, signal?: AbortSignal): Promise<void> {
    const deadline = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
    const stop = AbortSignal.any(signal ? [deadline, signal] : [deadline]);
    let settle: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        settle = () =>
          reject(
            signal?.aborted
              ? new InferenceError('aborted', 'stopped')
              : new InferenceError('child-hung', `the engine's process did not start within ${PREPARE_TIMEOUT_MS} ms`),
          );
        stop.addEventListener('abort', settle);
        void this.#gone.then(reject);
        this.onMessage = (reply) => {
          if (reply.type === wanted) resolve();
          else if (reply.type === 'failed') reject(new InferenceError(reply.code, reply.message));
        };
        this.send(message);
      });
    } finally {
      stop.removeEventListener('abort', settle);
      this.onMessage = undefined;
    }
  }

  /** Begins to work on a stream. @throws InferenceError as `prepare` */
  start(options: Extract<ToEngine, { type: 'start' }>['options']): Promise<void> {
    return this.#answer('ready', { type: 'start', options });
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#isGone) this.#child.kill('SIGKILL');
    await this.#gone;
  }
}
