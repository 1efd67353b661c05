import type { RtpPacket } from './rtp-packet.ts';
import { unwrapNear } from './sequence.ts';

/** Where packets go once they are in order. Must not push into the buffer that calls it. */
export interface PacketSink {
  /** `sequence` is unwrapped; it grows by one from packet to packet but for losses and restarts. */
  onPacket(packet: RtpPacket, sequence: number): void;
  /** So many packets before the next one will not come any more. */
  onLost(count: number): void;
  /** What follows is another stream: a new SSRC, or numbers that jumped. Sequence numbers go on growing. */
  onRestart(): void;
}

export interface JitterBufferOptions {
  /** Longest that packets wait for a missing one; time for a NACK to be answered. */
  readonly maxWaitMs?: number;
  /** Most packets that are held, and the widest gap that is waited for. */
  readonly maxPackets?: number;
}

/** Totals since it was made, but for `waiting`. */
export interface JitterCounters {
  /** Held now, behind a missing packet. */
  readonly waiting: number;
  readonly received: number;
  readonly duplicates: number;
  /** Declared lost. */
  readonly lost: number;
  /** Came after having been declared lost. */
  readonly late: number;
  /** Of another SSRC or far away in sequence, and followed by nothing that would make it the stream. */
  readonly strays: number;
  readonly restarts: number;
}

const MAX_WAIT_MS = 120;
const MAX_PACKETS = 1024;

/** RFC 3550 A.1, MAX_DROPOUT: a jump as far as this, ahead or back, is no loss but another stream. */
const RESTART_DISTANCE = 3000;
/** So many outdated packets in a row with none new among them are another stream whose numbers happen to be near. */
const STALE_BEFORE_RESTART = 100;

/**
 * Puts one stream's packets in order. What comes in order passes at once; behind a missing packet the others wait,
 * bounded in time and number. The time comes from the caller's monotonic clock: there are no timers inside, so `poll`
 * must be called at `nextDeadlineMs`. Holds on to the buffers of waiting packets.
 */
export class JitterBuffer {
  readonly #sink: PacketSink;
  readonly #maxWaitMs: number;
  readonly #capacity: number;
  /** Packets that wait, at their sequence number modulo the capacity. */
  readonly #held: (RtpPacket | null)[];
  readonly #arrivedMs: Float64Array;
  /** Which sequence number was last given out of each place: tells duplicates from latecomers. */
  readonly #released: Float64Array;
  #heldCount = 0;
  /** The unwrapped sequence number that is due, or −1 before the first packet. */
  #next = -1;
  /** The highest that came. */
  #newest = -1;
  #ssrc = 0;
  /** When the first of the waiting packets came. */
  #gapSinceMs = 0;
  #stray: RtpPacket | null = null;
  #staleInRow = 0;
  #received = 0;
  #duplicates = 0;
  #lost = 0;
  #late = 0;
  #strays = 0;
  #restarts = 0;

  constructor(sink: PacketSink, { maxWaitMs = MAX_WAIT_MS, maxPackets = MAX_PACKETS }: JitterBufferOptions = {}) {
    this.#sink = sink;
    this.#maxWaitMs = maxWaitMs;
    this.#capacity = maxPackets;
    this.#held = new Array<RtpPacket | null>(maxPackets).fill(null);
    this.#arrivedMs = new Float64Array(maxPackets);
    this.#released = new Float64Array(maxPackets).fill(-1);
  }

  /** When `poll` is due, or null while nothing waits. */
  get nextDeadlineMs(): number | null {
    return this.#heldCount === 0 ? null : this.#gapSinceMs + this.#maxWaitMs;
  }

  counters(): JitterCounters {
    return {
      waiting: this.#heldCount,
      received: this.#received,
      duplicates: this.#duplicates,
      lost: this.#lost,
      late: this.#late,
      strays: this.#strays,
      restarts: this.#restarts,
    };
  }

  push(packet: RtpPacket, nowMs: number): void {
    this.#received++;
    if (this.#next < 0) {
      // One range above zero: nothing that is older can be negative.
      this.#next = packet.sequenceNumber + 0x10000;
      this.#newest = this.#next - 1;
      this.#ssrc = packet.ssrc;
    }
    const sequence = unwrapNear(this.#next, packet.sequenceNumber, 16);
    const isFar = sequence - this.#newest > this.#capacity || this.#next - sequence >= RESTART_DISTANCE;
    if (packet.ssrc !== this.#ssrc || isFar) {
      this.#pushStray(packet, nowMs);
    } else {
      if (this.#stray !== null) this.#strays++;
      this.#stray = null;
      this.#place(packet, sequence, nowMs);
    }
    this.poll(nowMs);
  }

  /** Gives up on what is missing for longer than it may be. */
  poll(nowMs: number): void {
    while (this.#heldCount > 0 && nowMs >= this.#gapSinceMs + this.#maxWaitMs) {
      let first = this.#next;
      while (this.#held[first % this.#capacity] === null) first++;
      this.#advanceTo(first);
      this.#releaseRun();
    }
  }

  #place(packet: RtpPacket, sequence: number, nowMs: number): void {
    if (sequence < this.#next) {
      this.#staleInRow++;
      if (this.#staleInRow >= STALE_BEFORE_RESTART) this.#restart(packet);
      else if (this.#released[sequence % this.#capacity] === sequence) this.#duplicates++;
      else this.#late++;
      return;
    }
    this.#staleInRow = 0;
    if (sequence > this.#newest) this.#newest = sequence;
    if (sequence - this.#next >= this.#capacity) {
      // Full: the oldest gaps are not waited for any longer.
      this.#advanceTo(sequence - this.#capacity + 1);
      this.#releaseRun();
    }
    if (sequence === this.#next) {
      this.#release(packet);
      if (this.#heldCount > 0) this.#releaseRun();
      return;
    }
    const slot = sequence % this.#capacity;
    if (this.#held[slot] !== null) {
      this.#duplicates++;
      return;
    }
    this.#held[slot] = packet;
    this.#arrivedMs[slot] = nowMs;
    if (this.#heldCount++ === 0) this.#gapSinceMs = nowMs;
  }

  /**
   * A packet that does not belong here may be damaged, or the first after a break. RFC 3550 A.1: the latter where the
   * next one follows it in sequence.
   */
  #pushStray(packet: RtpPacket, nowMs: number): void {
    const first = this.#stray;
    const follows =
      first !== null && packet.ssrc === first.ssrc && packet.sequenceNumber === ((first.sequenceNumber + 1) & 0xffff);
    if (!follows) {
      if (first !== null) this.#strays++;
      this.#stray = packet;
      return;
    }
    this.#stray = null;
    const ahead = unwrapNear(this.#next, first.sequenceNumber, 16) - this.#next;
    if (packet.ssrc === this.#ssrc && ahead >= 0 && ahead < RESTART_DISTANCE) {
      this.#advanceTo(this.#next + ahead);
      this.#newest = this.#next;
      this.#release(first);
    } else {
      this.#restart(first);
    }
    this.#place(packet, this.#next, nowMs);
  }

  #restart(packet: RtpPacket): void {
    this.#restarts++;
    this.#heldCount = 0;
    this.#held.fill(null);
    this.#ssrc = packet.ssrc;
    this.#staleInRow = 0;
    // More than a range further, so that no number of the old stream can be taken for one of the new.
    this.#next = unwrapNear(this.#next, packet.sequenceNumber, 16) + 0x20000;
    this.#newest = this.#next;
    this.#sink.onRestart();
    this.#release(packet);
  }

  /** Gives out what waits before `target` and declares the rest of it lost. */
  #advanceTo(target: number): void {
    let missing = 0;
    while (this.#next < target) {
      if (this.#heldCount === 0) {
        missing += target - this.#next;
        this.#next = target;
        break;
      }
      const packet = this.#held[this.#next % this.#capacity];
      if (packet === null) {
        missing++;
        this.#next++;
        continue;
      }
      this.#declareLost(missing);
      missing = 0;
      this.#unhold(packet);
    }
    this.#declareLost(missing);
  }

  #declareLost(count: number): void {
    if (count === 0) return;
    this.#lost += count;
    this.#sink.onLost(count);
  }

  #releaseRun(): void {
    while (this.#heldCount > 0) {
      const packet = this.#held[this.#next % this.#capacity];
      if (packet === null) {
        this.#gapSinceMs = this.#earliestArrivalMs();
        return;
      }
      this.#unhold(packet);
    }
  }

  #unhold(packet: RtpPacket): void {
    this.#held[this.#next % this.#capacity] = null;
    this.#heldCount--;
    this.#release(packet);
  }

  #release(packet: RtpPacket): void {
    const sequence = this.#next++;
    this.#released[sequence % this.#capacity] = sequence;
    this.#sink.onPacket(packet, sequence);
  }

  #earliestArrivalMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    let left = this.#heldCount;
    for (let sequence = this.#next; left > 0; sequence++) {
      const slot = sequence % this.#capacity;
      if (this.#held[slot] === null) continue;
      left--;
      if (this.#arrivedMs[slot] < earliest) earliest = this.#arrivedMs[slot];
    }
    return earliest;
  }
}
