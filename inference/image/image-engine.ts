import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';
import { MAX_IMAGE_BYTES } from './image-limits.ts';
import type { FromImageProcess, ImageFaces, ToImageProcess } from './image-messages.ts';

export type { ImageFaces } from './image-messages.ts';

/** A model may have to be fetched first. */
const PREPARE_TIMEOUT_MS = 60_000;
/** The largest picture that is taken needs a few seconds on a busy machine. */
const DETECT_TIMEOUT_MS = 60_000;
/** What a process that died said last is kept up to this many characters. */
const STDERR_TAIL = 500;

/**
 * Finds faces in still pictures, in a process of its own that is started, and its model loaded, at the first picture;
 * one that a picture ended is replaced at the next. Pictures take their turn. `close` ends it.
 */
export class ImageEngine {
  readonly #models: ModelLocations;
  readonly #onWarning: (message: string) => void;
  #process: ImageChild | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(models: ModelLocations, onWarning: (message: string) => void = () => undefined) {
    this.#models = models;
    this.#onWarning = onWarning;
  }

  /**
   * The faces of one picture: the bytes of a JPEG, PNG or WebP file, borrowed until the promise settles.
   * @throws InferenceError 'input-empty' | 'input-unreadable' | 'input-truncated', its message to follow the picture's
   *   name; 'model-unusable'; 'child-died' | 'child-hung'; 'closed'
   */
  detectFaces(image: Uint8Array): Promise<ImageFaces> {
    const result = this.#turn.then(() => this.#detect(image));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Ends the process, whatever it does. Pictures that wait for their turn fail with 'closed'. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#process?.kill();
  }

  async #detect(image: Uint8Array): Promise<ImageFaces> {
    if (image.length > MAX_IMAGE_BYTES) {
      throw new InferenceError('input-unreadable', `its ${image.length} bytes are more than ${MAX_IMAGE_BYTES}`);
    }
    const child = await this.#prepared();
    const reply = await child.ask({ type: 'detect', image }, DETECT_TIMEOUT_MS);
    if (reply.type === 'found') return reply.faces;
    throw new InferenceError('run-failed', `the process of still pictures answered ${reply.type}`);
  }

  async #prepared(): Promise<ImageChild> {
    if (this.#isClosed) throw new InferenceError('closed', 'the engine of still pictures is closed');
    if (this.#process?.isAlive) return this.#process;
    const child = new ImageChild(this.#onWarning);
    this.#process = child;
    try {
      await child.ask({ type: 'prepare', models: this.#models }, PREPARE_TIMEOUT_MS);
      return child;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }
}

interface Waiting {
  resolve(reply: FromImageProcess): void;
  reject(error: InferenceError): void;
}

/** One process: a question at a time. */
class ImageChild {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #waiting: Waiting | undefined;
  #isHung = false;
  #lastWords = '';

  constructor(onWarning: (message: string) => void) {
    this.#child = fork(join(import.meta.dirname, 'image-process.ts'), {
      serialization: 'advanced',
      execArgv: [],
      // What parses strangers' files gets none of our environment.
      env: { MALLOC_ARENA_MAX: '2' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-STDERR_TAIL);
    });
    this.#child.on('message', (message: FromImageProcess) => {
      if (message.type === 'warning') onWarning(message.message);
      else this.#settle((waiting) => waiting.resolve(message));
    });
    this.#gone = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#settle((waiting) => waiting.reject(this.#deathOf(signal ?? String(code))));
        resolve();
      });
      this.#child.once('error', (cause) => {
        this.#settle((waiting) => waiting.reject(new InferenceError('child-died', cause.message, { cause })));
        // Without a process there is no exit to wait for; with one, the channel failed and it is of no use any more.
        if (this.#child.pid === undefined) resolve();
        else this.#child.kill('SIGKILL');
      });
    });
  }

  get isAlive(): boolean {
    return this.#child.connected && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async ask(message: ToImageProcess, timeoutMs: number): Promise<FromImageProcess> {
    const replied = new Promise<FromImageProcess>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timeout = setTimeout(() => {
      this.#isHung = true;
      this.#child.kill('SIGKILL');
    }, timeoutMs);
    this.#child.send(message, (error) => error && this.#child.kill('SIGKILL'));
    try {
      const reply = await replied;
      if (reply.type === 'failed') throw new InferenceError(reply.code, reply.message);
      return reply;
    } finally {
      clearTimeout(timeout);
    }
  }

  kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.#gone;
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) how(waiting);
  }

  #deathOf(reason: string): InferenceError {
    if (this.#isHung) return new InferenceError('child-hung', 'it takes too long');
    const lastWords = this.#lastWords.trim().replace(/\s*\n\s*/g, ' ');
    return new InferenceError('child-died', `the process that read it died (${reason}) ${lastWords}`.trim());
  }
}
