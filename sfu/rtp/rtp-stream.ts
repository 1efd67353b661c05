import { randomInt } from 'node:crypto';
import type { Packetizer } from './packetizer.ts';
import { RTP_HEADER_BYTES, serializeRtpPacket, writeRtpHeader } from './rtp-packet.ts';

export interface RtpStreamOptions {
  readonly ssrc: number;
  readonly payloadType: number;
  /** 16 bits. RFC 3550 §5.1: "SHOULD be random". */
  readonly firstSequenceNumber?: number;
}

/** One outgoing RTP stream: its running sequence number, and the totals that its sender reports state. */
export class RtpStream {
  readonly ssrc: number;
  readonly #payloadType: number;
  #sequenceNumber: number;
  #packetCount = 0;
  #octetCount = 0;

  constructor({ ssrc, payloadType, firstSequenceNumber = randomInt(0x10000) }: RtpStreamOptions) {
    this.ssrc = ssrc;
    this.#payloadType = payloadType;
    this.#sequenceNumber = firstSequenceNumber;
  }

  /** Packets sent. */
  get packetCount(): number {
    return this.#packetCount;
  }

  /** Payload bytes sent (RFC 3550 §6.4.1: without headers and padding). */
  get octetCount(): number {
    return this.#octetCount;
  }

  /**
   * One coded frame, as whole packets in order; each is the receiver's own.
   * @param pts in the payload's clock (90 kHz for video), unwrapped; the packets' timestamp is its low 32 bits
   */
  sendFrame(frame: Uint8Array, pts: number, packetizer: Packetizer, send: (packet: Buffer) => void): void {
    packetizer.packetize(frame, (packet, isLast) => {
      writeRtpHeader(packet, this.#header(pts, isLast, packet.length - RTP_HEADER_BYTES));
      send(packet);
    });
  }

  /**
   * One packet that is its own frame, as those of Opus are (RFC 7587 §4.2).
   * @param pts in the payload's clock (48 kHz for Opus), unwrapped
   */
  packet(payload: Uint8Array, pts: number, marker = false): Buffer {
    return serializeRtpPacket(this.#header(pts, marker, payload.length), payload);
  }

  #header(timestamp: number, marker: boolean, payloadBytes: number) {
    const sequenceNumber = this.#sequenceNumber;
    this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
    this.#packetCount++;
    this.#octetCount += payloadBytes;
    return { marker, payloadType: this.#payloadType, sequenceNumber, timestamp, ssrc: this.ssrc };
  }
}
