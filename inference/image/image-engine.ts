import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';
import { MAX_IMAGE_BYTES } from './image-limits.ts';
import type {
  FromImageProcess,
  ImageAttributes,
  ImageEmbeddings,
  ImageFaces,
  ImageQuestion,
  ToImageProcess,
} from './image-messages.ts';

export type { ImageAttributes, ImageEmbeddings, ImageFaces } from './image-messages.ts';

/** A model may have to be fetched first. */
const PREPARE_TIMEOUT_MS = 60_000;
/** The largest picture that is taken needs a few seconds on a busy machine. */
const ANSWER_TIMEOUT_MS = 60_000;
const DEFAULT_IDLE_MS = 300_000;
/** What a process that died said last is kept up to this many characters. */
const STDERR_TAIL = 500;

/** What can be asked with every picture. */
export interface ImageOptions {
  /** A picture that still waits for its turn when this aborts is left alone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds faces in still pictures, in a process of its own that is started at the first picture, loads each model at the
 * first picture that needs it, and ends when none came for a while; one that a picture ended is replaced at the next.
 * Pictures take their turn. `close` ends it.
 *
 * Each takes the bytes of a JPEG, PNG or WebP file, borrowed until the promise settles.
 * @throws InferenceError 'input-empty' | 'input-unreadable' | 'input-truncated', its message to follow the picture's
 *   name; 'model-unusable'; 'run-failed', also where a model gives no number; 'child-died' | 'child-hung'; 'aborted';
 *   'closed': all of its methods
 */
export class ImageEngine {
  readonly #models: ModelLocations;
  readonly #onWarning: (message: string) => void;
  readonly #idleMs: number;
  #process: ImageChild | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param idleMs without a picture for so long, the process ends and gives its memory back */
  constructor(
    models: ModelLocations,
    onWarning: (message: string) => void = () => undefined,
    idleMs: number = DEFAULT_IDLE_MS,
  ) {
    this.#models = models;
    this.#onWarning = onWarning;
    this.#idleMs = idleMs;
  }

  /**
   * The faces of one picture.
   * @param options with `landmarks`, every face has them: those of a model of its own where the detector gives none
   */
  async detectFaces(
    image: Uint8Array,
    { landmarks = false, signal }: ImageOptions & { readonly landmarks?: boolean } = {},
  ): Promise<ImageFaces> {
    const reply = await this.#ask({ type: 'detect', image, landmarks }, signal);
    if (reply.type === 'found') return reply.result;
    throw unexpected(reply);
  }

  /** The faces of one picture, and what the recogniser makes of each. */
  async embedFaces(
    image: Uint8Array,
    { thumbnails = false, signal }: ImageOptions & { readonly thumbnails?: boolean } = {},
  ): Promise<ImageEmbeddings> {
    const reply = await this.#ask({ type: 'embed', image, thumbnails }, signal);
    if (reply.type === 'embedded') return reply.result;
    throw unexpected(reply);
  }

  /** The faces of one picture, and what is guessed of each. */
  async analyseFaces(image: Uint8Array, { signal }: ImageOptions = {}): Promise<ImageAttributes> {
    const reply = await this.#ask({ type: 'analyse', image }, signal);
    if (reply.type === 'analysed') return reply.result;
    throw unexpected(reply);
  }

  /** Ends the process, whatever it does. Pictures that wait for their turn fail with 'closed'. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    await this.#process?.kill();
  }

  #ask(question: ImageQuestion, signal: AbortSignal | undefined): Promise<FromImageProcess> {
    const reply = this.#turn.then(() => this.#answer(question, signal));
    this.#turn = reply.catch(() => undefined);
    return reply;
  }

  async #answer(question: ImageQuestion, signal: AbortSignal | undefined): Promise<FromImageProcess> {
    const { length } = question.image;
    if (length > MAX_IMAGE_BYTES) {
      throw new InferenceError('input-unreadable', `its ${length} bytes are more than ${MAX_IMAGE_BYTES}`);
    }
    if (signal?.aborted) throw new InferenceError('aborted', 'nobody waits for it any more');
    clearTimeout(this.#idle);
    try {
      const child = await this.#prepared();
      return await child.ask(question, ANSWER_TIMEOUT_MS);
    } finally {
      if (!this.#isClosed) this.#idle = setTimeout(() => this.#rest(), this.#idleMs).unref();
    }
  }

  /** Ends a process that has nothing to do, in a turn of its own. */
  #rest(): void {
    this.#turn = this.#turn.then(() => this.#process?.kill());
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

function unexpected({ type }: FromImageProcess): InferenceError {
  return new InferenceError('run-failed', `the process of still pictures answered ${type}`);
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
