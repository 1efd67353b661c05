import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Backoff } from '../../sfu/pull/backoff.ts';
import { keyPrefix, objectKey } from '../store/keys.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { initName, type RecordingRows, type StoredSegment, segmentName } from './recording.ts';
import type { SegmentSpool, SpooledSegment, SpoolHead } from './segment-spool.ts';

/** Attempts while the store or the database is away. */
const RETRY = { firstMs: 250, maxMs: 5000, steadyMs: Number.POSITIVE_INFINITY };
/** What an attempt to store one segment may take. */
const PUT_TIMEOUT_MS = 30_000;

export interface DeliveryOptions {
  readonly head: SpoolHead;
  readonly spool: SegmentSpool;
  readonly store: Pick<ObjectStore, 'put'>;
  readonly rows: RecordingRows;
  /** Segments on their way to the store, in bytes, beyond which `onOverflow` is called. */
  readonly maxBytes: number;
  readonly log: Logger;
  /** It is in the store, and can be played. */
  onStored(segment: StoredSegment): void;
  /** What waits is more than there is room for, or the disk does not take it: nothing more is taken. Called once. */
  onOverflow(reason: string): void;
}

interface Waiting {
  readonly segment: SpooledSegment;
  readonly bytes: number;
}

/** The key of an object of a recording, or of a window that viewers of a live stream go back in. */
export function recordingKey({ id, isKept }: Pick<SpoolHead, 'id' | 'isKept'>, name: string): string {
  return isKept ? objectKey('recordings', id, name) : objectKey('temp', 'hls', id, name);
}

export function recordingPrefix({ id, isKept }: Pick<SpoolHead, 'id' | 'isKept'>): string {
  return isKept ? keyPrefix('recordings', id) : keyPrefix('temp', 'hls', id);
}

/**
 * Brings segments to the store, one after the other: first to the disk, where they outlive the process, then to the store
 * and, those of recordings, into the database. While one of these is away it tries again, and segments wait on the disk.
 */
export class SegmentDelivery {
  readonly #options: DeliveryOptions;
  readonly #waiting: Waiting[] = [];
  readonly #abort = new AbortController();
  readonly #storedInits = new Set<number>();
  #disk: Promise<void>;
  #bytes = 0;
  #isFull = false;
  #hasRow = false;
  #running: Promise<void> | null = null;

  /** @param opened whether the spool's folder is there already, of a process that died */
  constructor(options: DeliveryOptions, opened = false) {
    this.#options = options;
    this.#disk = opened ? Promise.resolve() : options.spool.open(options.head);
    this.#hasRow = !options.head.isKept;
    this.#disk.then(
      () => this.#start(),
      () => undefined, // Told by the first segment, which can't be written.
    );
  }

  /** In bytes, what the store does not have yet. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Takes over what a process that died has left. */
  async resume(): Promise<void> {
    for (const segment of await this.#options.spool.list()) this.#enqueue(segment, segment.bytes);
  }

  /** @param init of the segment's part, where it is the first of it */
  add(segment: SpooledSegment, data: Uint8Array, init: Uint8Array | null): void {
    if (this.#isFull) return;
    if (this.#bytes + data.length > this.#options.maxBytes) {
      this.#overflow('the store does not keep up');
      return;
    }
    this.#bytes += data.length;
    const { spool } = this.#options;
    this.#disk = this.#disk.then(async () => {
      if (init) await spool.writeInit(segment.part, init);
      await spool.write(segment, data);
      this.#bytes -= data.length;
      this.#enqueue(segment, data.length);
    });
    this.#disk.catch((error) => {
      this.#options.log.error({ err: error }, 'a segment could not be written to the disk');
      this.#overflow('the disk does not take it');
    });
  }

  /** Resolves when the disk has all, or takes no more. */
  async written(): Promise<void> {
    await this.#disk.catch(() => undefined);
  }

  /** Resolves when the store has all. @throws the reason of `stop` */
  async drained(): Promise<void> {
    await this.written();
    while (this.#running) await this.#running;
    this.#abort.signal.throwIfAborted();
  }

  /** What waits stays on the disk. */
  async stop(): Promise<void> {
    this.#isFull = true;
    this.#abort.abort();
    await this.written();
    await this.#running;
  }

  #enqueue(segment: SpooledSegment, bytes: number): void {
    this.#bytes += bytes;
    this.#waiting.push({ segment, bytes });
    this.#start();
  }

  #start(): void {
    if (this.#abort.signal.aborted || (this.#hasRow && this.#waiting.length === 0)) return;
    this.#running ??= this.#deliverAll();
  }

  #overflow(reason: string): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#options.onOverflow(reason);
  }

  async #deliverAll(): Promise<void> {
    const { head, rows, log } = this.#options;
    let backoff = new Backoff(RETRY);
    while (!this.#abort.signal.aborted) {
      const next = this.#waiting[0];
      try {
        if (!this.#hasRow) await rows.create(head);
        this.#hasRow = true;
        if (!next) break;
        await this.#deliver(next.segment);
      } catch (error) {
        if (this.#abort.signal.aborted) break;
        const waitMs = Math.round(backoff.next(0));
        log.warn({ err: error, waitMs, waitingBytes: this.#bytes }, 'a segment could not be stored yet');
        await sleep(waitMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
        continue;
      }
      backoff = new Backoff(RETRY);
      this.#waiting.shift();
      this.#bytes -= next.bytes;
    }
    this.#running = null;
  }

  async #deliver(segment: SpooledSegment): Promise<void> {
    const { head, spool, store, rows } = this.#options;
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(PUT_TIMEOUT_MS)]);
    const put = (name: string, data: Uint8Array, contentType: string) =>
      store.put(recordingKey(head, name), data, { contentType, size: data.length, signal });
    if (!this.#storedInits.has(segment.part)) {
      const init = await spool.readInit(segment.part);
      if (init) await put(initName(segment), init, 'video/mp4');
      await spool.dropInit(segment.part);
      this.#storedInits.add(segment.part);
    }
    const data = await spool.read(segment);
    if (data) {
      await put(segmentName(segment), data, 'video/iso.segment');
      if (head.isKept) await rows.addSegment(head.id, segment);
      this.#options.onStored(segment);
    }
    await spool.drop(segment);
  }
}
