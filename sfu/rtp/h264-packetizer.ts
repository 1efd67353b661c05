import { forEachNal } from './annex-b.ts';
import { NAL } from './h264-nal.ts';
import { type EmitPayload, MAX_PAYLOAD_BYTES, type Packetizer } from './packetizer.ts';
import { RTP_HEADER_BYTES } from './rtp-packet.ts';

/** The size that stands before each unit of a STAP-A. */
const SIZE_BYTES = 2;
/** FU indicator and FU header. */
const FRAGMENT_HEADER_BYTES = 2;
const REFERENCE_BITS = 0x60;
const TYPE_BITS = 0x1f;
const FRAGMENT_START = 0x80;
const FRAGMENT_END = 0x40;

export interface H264PacketizerOptions {
  /** Payload headers included. */
  readonly maxPayloadBytes?: number;
}

/**
 * Cuts H.264 access units in Annex B into payloads, packetization-mode 1 (RFC 6184 §6.3): what is small and follows
 * each other goes into one STAP-A, what is too big is cut into FU-As of nearly one size. Delimiters and filler, which
 * mean nothing in RTP, are left out.
 */
export class H264Packetizer implements Packetizer {
  readonly #maxPayloadBytes: number;
  /** Start and end of each unit of the frame at hand. */
  readonly #units: number[] = [];

  constructor({ maxPayloadBytes = MAX_PAYLOAD_BYTES }: H264PacketizerOptions = {}) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  packetize(frame: Uint8Array, emit: EmitPayload): void {
    const units = this.#units;
    units.length = 0;
    forEachNal(frame, (start, end) => {
      const type = frame[start] & TYPE_BITS;
      if (type !== NAL.delimiter && type !== NAL.filler) units.push(start, end);
    });
    for (let i = 0; i < units.length; ) {
      const next = this.#endOfAggregate(i);
      const isLast = next === units.length;
      if (next > i + 2) this.#emitAggregate(frame, i, next, isLast, emit);
      else if (units[i + 1] - units[i] > this.#maxPayloadBytes) {
        this.#emitFragments(frame, units[i], units[i + 1], isLast, emit);
      } else this.#emitUnit(frame, units[i], units[i + 1], isLast, emit);
      i = next;
    }
  }

  /** Index in `#units` behind the last unit that fits in one STAP-A with that at `first`. */
  #endOfAggregate(first: number): number {
    let size = 1;
    let i = first;
    for (; i < this.#units.length; i += 2) {
      size += SIZE_BYTES + this.#units[i + 1] - this.#units[i];
      if (size > this.#maxPayloadBytes) break;
    }
    return Math.max(i, first + 2);
  }

  #emitUnit(frame: Uint8Array, start: number, end: number, isLast: boolean, emit: EmitPayload): void {
    const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + end - start);
    packet.set(frame.subarray(start, end), RTP_HEADER_BYTES);
    emit(packet, isLast);
  }

  #emitAggregate(frame: Uint8Array, first: number, next: number, isLast: boolean, emit: EmitPayload): void {
    let size = 1;
    let reference = 0;
    for (let i = first; i < next; i += 2) {
      size += SIZE_BYTES + this.#units[i + 1] - this.#units[i];
      // §5.7.1: NRI is the highest of those inside.
      reference = Math.max(reference, frame[this.#units[i]] & REFERENCE_BITS);
    }
    const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + size);
    let at = RTP_HEADER_BYTES;
    packet[at++] = reference | NAL.stapA;
    for (let i = first; i < next; i += 2) {
      const unit = frame.subarray(this.#units[i], this.#units[i + 1]);
      packet[at++] = unit.length >> 8;
      packet[at++] = unit.length;
      packet.set(unit, at);
      at += unit.length;
    }
    emit(packet, isLast);
  }

  #emitFragments(frame: Uint8Array, start: number, end: number, isLast: boolean, emit: EmitPayload): void {
    const header = frame[start];
    const bytes = end - start - 1;
    const count = Math.ceil(bytes / (this.#maxPayloadBytes - FRAGMENT_HEADER_BYTES));
    let from = 0;
    for (let i = 0; i < count; i++) {
      const to = Math.floor((bytes * (i + 1)) / count);
      const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + FRAGMENT_HEADER_BYTES + to - from);
      const place = i === 0 ? FRAGMENT_START : i === count - 1 ? FRAGMENT_END : 0;
      packet[RTP_HEADER_BYTES] = (header & ~TYPE_BITS) | NAL.fuA;
      packet[RTP_HEADER_BYTES + 1] = place | (header & TYPE_BITS);
      packet.set(frame.subarray(start + 1 + from, start + 1 + to), RTP_HEADER_BYTES + FRAGMENT_HEADER_BYTES);
      emit(packet, isLast && i === count - 1);
      from = to;
    }
  }
}
