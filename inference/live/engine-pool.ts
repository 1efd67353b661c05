import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';
import { EngineChild } from './engine-child.ts';

/** After a spare that did not start, the next is tried so much later. */
const RETRY_MS = 5000;

/**
 * Keeps one process ready with its model loaded, so that a stream begins, and goes on after its engine died, without
 * waiting for one to start. It costs the memory of an idle process.
 */
export class LiveEnginePool {
  readonly #models: ModelLocations;
  #spare: Promise<EngineChild> | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();
  #closing: Promise<void> | undefined;

  /** Starts its first spare at once. */
  constructor(models: ModelLocations) {
    this.#models = models;
    this.#prepare();
  }

  /**
   * The spare, or a new process where it is not to be had. The caller's to kill.
   * @throws InferenceError as `EngineChild.prepare`, 'closed'
   */
  async take(): Promise<EngineChild> {
    if (this.#closing) throw new InferenceError('closed', 'the pool of engines is closed');
    const spare = this.#spare;
    this.#spare = undefined;
    const child = await spare?.catch(() => null);
    const taken = child && !child.isGone ? child : await EngineChild.prepare(this.#models, this.#stop.signal);
    if (this.#closing) {
      await taken.kill();
      throw new InferenceError('closed', 'the pool of engines is closed');
    }
    return taken;
  }

  /** Called when an engine from here serves its stream: now there is time for the next spare. */
  refill(): void {
    if (!this.#spare && !this.#retry && !this.#closing) this.#prepare();
  }

  /** Ends the spare; engines that were taken are their takers'. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #prepare(): void {
    const spare = EngineChild.prepare(this.#models, this.#stop.signal);
    this.#spare = spare;
    spare.then(
      (child) =>
        void child.gone.then(() => {
          if (this.#spare === spare) this.#tryAgain();
        }),
      () => {
        if (this.#spare === spare) this.#tryAgain();
      },
    );
  }

  #tryAgain(): void {
    this.#spare = undefined;
    if (this.#closing) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.refill();
    }, RETRY_MS);
    this.#retry.unref();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#retry);
    const spare = this.#spare;
    this.#stop.abort();
    // One that did not start is gone already.
    await spare?.then(
      (child) => child.kill(),
      () => undefined,
    );
  }
}
