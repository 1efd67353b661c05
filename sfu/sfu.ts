import type { MakeEngine } from './engine-keeper.ts';
import { SfuError } from './errors.ts';
import { Stream } from './stream.ts';
import type { LiveSfu, StreamSettings } from './stream-types.ts';
import { Workers, type WorkersOptions } from './workers.ts';

export interface SfuOptions extends WorkersOptions {
  readonly makeEngine: MakeEngine;
  /** Whether peers may watch what comes in, before it is blurred. */
  readonly rawPreview: boolean;
  /** Whether addresses of this machine and its networks may be pushed to. */
  readonly allowPrivate: boolean;
  /** How long viewers wait for a publisher that left; default 5 s. */
  readonly graceMs?: number;
}

const GRACE_MS = 5000;

/** The SFU: workers and the streams on them. */
export class Sfu implements LiveSfu {
  readonly workers: Workers;
  readonly #options: SfuOptions;
  readonly #streams = new Set<Stream>();
  #closing: Promise<void> | undefined;

  private constructor(options: SfuOptions, workers: Workers) {
    this.#options = options;
    this.workers = workers;
  }

  /** @throws SfuError 'worker-missing' */
  static async create(options: SfuOptions): Promise<Sfu> {
    return new Sfu(options, await Workers.create(options));
  }

  get ready(): boolean {
    return this.workers.ready;
  }

  createStream(id: string, settings: StreamSettings): Stream {
    if (this.#closing) throw new SfuError('closed', 'the server is closing');
    const { makeEngine, rawPreview, allowPrivate, graceMs = GRACE_MS, log } = this.#options;
    const stream = new Stream({
      id,
      settings,
      workers: this.workers,
      makeEngine,
      rawPreview,
      allowPrivate,
      graceMs,
      log,
      onClose: () => this.#streams.delete(stream),
    });
    this.#streams.add(stream);
    return stream;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.close()));
    this.workers.close();
  }
}
