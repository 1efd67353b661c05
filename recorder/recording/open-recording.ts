import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { PartSegment } from './live-part.ts';
import { moveTimes } from './mp4-boxes.ts';
import type { StoredSegment } from './recording.ts';
import { type DeliveryOptions, SegmentDelivery } from './segment-delivery.ts';
import { SegmentSpool, type SpoolHead } from './segment-spool.ts';

/** Sound may go on a little after its last picture: the next part begins after both. */
const PART_GAP_MS = 50;

export interface OpenRecordingOptions extends Pick<DeliveryOptions, 'store' | 'rows' | 'maxBytes'> {
  readonly stream: string;
  /** Whether it is a recording, or only what viewers of the live stream can go back to. */
  readonly isKept: boolean;
  /** Where spools lie. */
  readonly folder: string;
  readonly log: Logger;
  onStored(recording: OpenRecording, segment: StoredSegment): void;
  onOverflow(recording: OpenRecording, reason: string): void;
}

/** A recording that is under way, or a window of a live stream that is not kept. */
export class OpenRecording {
  readonly spool: SegmentSpool;
  readonly #delivery: SegmentDelivery;
  /** By how much the times of each part are moved, in the order of their numbers. */
  readonly #shiftsMs = new Map<object, number>();
  #head: SpoolHead;
  #number = 0;
  #endMs = 0;
  #isStopped = false;

  constructor({ stream, isKept, folder, store, rows, maxBytes, log, onStored, onOverflow }: OpenRecordingOptions) {
    const id = randomBytes(12).toString('hex');
    this.#head = { id, stream, startedAt: new Date(), isKept, isEnded: false, reason: null };
    this.spool = new SegmentSpool(join(folder, id));
    this.#delivery = new SegmentDelivery({
      head: this.#head,
      spool: this.spool,
      store,
      rows,
      maxBytes,
      log: log.child({ recording: id }),
      onStored: (segment) => onStored(this, segment),
      onOverflow: (reason) => onOverflow(this, reason),
    });
  }

  /** As its spool tells it. */
  get head(): SpoolHead {
    return this.#head;
  }

  get id(): string {
    return this.#head.id;
  }

  get isKept(): boolean {
    return this.#head.isKept;
  }

  /** Something of it is lost. The first reason stays. */
  lost(reason: string): void {
    this.#head = { ...this.#head, reason: this.#head.reason ?? reason };
  }

  /**
   * @param part what it came of: another one has another init segment
   * @param init of the part
   * @param segment taken over; its times become the recording's own, each part's after those of the one before
   */
  add(part: object, init: Buffer, { data, startMs, durationMs, faces }: PartSegment): void {
    const isFirst = !this.#shiftsMs.has(part);
    if (isFirst) this.#shiftsMs.set(part, this.#endMs + (this.#number > 0 ? PART_GAP_MS : 0) - startMs);
    const shiftMs = this.#shiftsMs.get(part)!;
    moveTimes(data, init, shiftMs);
    this.#endMs = startMs + durationMs + shiftMs;
    const segment = { number: ++this.#number, part: this.#shiftsMs.size, durationMs, bytes: data.length, faces };
    this.#delivery.add(segment, data, isFirst ? init : null);
  }

  /** Nothing more comes. Resolves when the store has all that came. @throws what `stop` ends it with */
  async end(): Promise<void> {
    this.#head = { ...this.#head, isEnded: true };
    // Should the process die now, whoever takes over knows that nothing is missing.
    await this.#delivery.written();
    await this.spool.writeHead(this.#head);
    await this.#delivery.drained();
  }

  /** Nothing more is taken. What the store does not have yet stays on the disk. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#delivery.stop();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }
}
