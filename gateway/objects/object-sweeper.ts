import type { Logger } from 'pino';
import { RecorderError } from '../../recorder/errors.ts';
import type { ObjectStore } from '../../recorder/store/object-store.ts';

const EVERY_MS = 3_600_000;
/** Longer than anybody is given to upload. */
const UNFINISHED_MS = 48 * 3_600_000;

/** Erases from an object store, now and each hour, what nobody will finish. Safe on several nodes at once. */
export class ObjectSweeper {
  readonly #store: Pick<ObjectStore, 'sweep'>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void>;

  constructor(store: Pick<ObjectStore, 'sweep'>, log: Logger) {
    this.#store = store;
    this.#log = log;
    this.#sweeping = this.#sweep();
    this.#timer = setInterval(() => {
      this.#sweeping = this.#sweeping.then(() => this.#sweep());
    }, EVERY_MS).unref();
  }

  /** Waits for what is being erased, which the store's own `close` ends: to be called with it. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#sweeping;
  }

  async #sweep(): Promise<void> {
    try {
      const erased = await this.#store.sweep(new Date(Date.now() - UNFINISHED_MS));
      if (erased > 0) this.#log.info({ erased }, 'unfinished uploads and objects erased');
    } catch (error) {
      if (error instanceof RecorderError && error.code === 'closed') return;
      // Of a bucket that is away: again in an hour.
      this.#log.warn({ err: error }, 'the object store could not be swept');
    }
  }
}
