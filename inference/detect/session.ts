import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { InferenceError } from '../errors.ts';
import type { ModelThreadReply, ModelThreadRequest, ModelThreadStart } from './model-thread.ts';

/** The thread's JavaScript holds little beside the outputs of a run; with V8's own limits it grows by 25 MB more. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 };

/** The outputs of one run, by tensor name; the caller's own. */
export type ModelOutputs = Readonly<Record<string, Float32Array>>;

/**
 * One model in a thread of its own, so that decoding and encoding go on while it runs. Runs must not overlap.
 * The thread ends by itself after `close`: native code does not survive being terminated.
 */
export class ModelSession {
  readonly #name: string;
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  #waiting: { resolve(reply: ModelThreadReply): void; reject(error: InferenceError): void } | undefined;
  #death: InferenceError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(name: string, start: ModelThreadStart) {
    this.#name = name;
    this.#thread = new Worker(join(import.meta.dirname, 'model-thread.ts'), {
      workerData: start,
      resourceLimits: HEAP_LIMITS,
    });
    this.#ended = new Promise((resolve) => this.#thread.once('exit', () => resolve()));
    this.#thread.on('message', (reply: ModelThreadReply) => {
      this.#waiting?.resolve(reply);
      this.#waiting = undefined;
    });
    const die = (reason: string) => {
      this.#death ??= new InferenceError('run-failed', `the thread of model ${name} ended: ${reason}`);
      this.#waiting?.reject(this.#death);
      this.#waiting = undefined;
    };
    this.#thread.once('error', (error) => die(error.message));
    this.#thread.once('exit', (code) => die(`exit code ${code}`));
  }

  /**
   * Loads a graph for the CPU.
   * @param threads that one run may use
   * @throws InferenceError 'model-unusable'
   */
  static async open(name: string, model: Uint8Array, threads: number): Promise<ModelSession> {
    const session = new ModelSession(name, { model, threads });
    const reply = await session.#reply();
    if (reply.type === 'failed') {
      throw new InferenceError('model-unusable', `model ${name} does not load: ${reply.message}`);
    }
    return session;
  }

  /**
   * Runs the graph on its one input.
   * @param data in shared memory, so that it is not copied; it must not change before the run ends
   * @param outputs the names of the float32 outputs wanted
   * @throws InferenceError 'closed' | 'run-failed'
   */
  async run(data: Float32Array, dims: readonly number[], outputs: readonly string[]): Promise<ModelOutputs> {
    if (this.#closing) throw new InferenceError('closed', `model ${this.#name} is closed`);
    if (this.#death) throw this.#death;
    if (this.#waiting) throw new InferenceError('run-failed', `model ${this.#name} is running already`);
    const replied = this.#reply();
    this.#thread.postMessage({ data, dims, outputs } satisfies ModelThreadRequest);
    const reply = await replied;
    if (reply.type === 'ran') return reply.outputs;
    throw new InferenceError('run-failed', `inference failed: ${reply.type === 'failed' ? reply.message : reply.type}`);
  }

  /** Ends the thread, after the run that is under way. */
  close(): Promise<void> {
    if (!this.#closing) {
      this.#thread.postMessage(null satisfies ModelThreadRequest);
      this.#closing = this.#ended;
    }
    return this.#closing;
  }

  #reply(): Promise<ModelThreadReply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}
