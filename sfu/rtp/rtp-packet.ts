/** One RTP packet, taken apart. */
export interface RtpPacket {
  readonly marker: boolean;
  readonly payloadType: number;
  /** 16 bits. */
  readonly sequenceNumber: number;
  /** 32 bits, unsigned. */
  readonly timestamp: number;
  readonly ssrc: number;
  /** A view into the packet's buffer, without padding; empty in a packet of padding alone. */
  readonly payload: Buffer;
}

/** Bytes of the header that we write: no CSRCs, no extension. */
export const RTP_HEADER_BYTES = 12;

const VERSION = 2;

/**
 * Takes a packet apart. The result borrows `packet`. CSRCs and the extension (RFC 8285 or other) are stepped over.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                           timestamp                           |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |           synchronization source (SSRC) identifier            |
 *     +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
 *     |            contributing source (CSRC) identifiers             |
 *     |                             ....                              |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |      defined by profile       |           length              |  where X; length in 32-bit words
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * @returns null where it is cut short or contradicts itself
 * @see RFC 3550 §5.1, §5.3.1
 */
export function parseRtpPacket(packet: Buffer): RtpPacket | null {
  const length = packet.length;
  if (length < RTP_HEADER_BYTES) return null;
  const first = packet[0];
  if (first >> 6 !== VERSION) return null;
  let start = RTP_HEADER_BYTES + 4 * (first & 0x0f);
  if ((first & 0x10) !== 0) {
    if (start + 4 > length) return null;
    start += 4 + 4 * ((packet[start + 2] << 8) | packet[start + 3]);
  }
  let end = length;
  if ((first & 0x20) !== 0) {
    // §5.1: the last octet counts the padding, itself included.
    const padding = packet[length - 1];
    if (padding === 0) return null;
    end -= padding;
  }
  if (start > end) return null;
  const second = packet[1];
  return {
    marker: (second & 0x80) !== 0,
    payloadType: second & 0x7f,
    sequenceNumber: (packet[2] << 8) | packet[3],
    timestamp: uint32At(packet, 4),
    ssrc: uint32At(packet, 8),
    payload: packet.subarray(start, end),
  };
}

/** What a header says. The timestamp may be unwrapped: its low 32 bits are sent. */
export type RtpHeader = Omit<RtpPacket, 'payload'>;

/** Writes a header of `RTP_HEADER_BYTES` at the start of `packet`. */
export function writeRtpHeader(packet: Buffer, header: RtpHeader): void {
  packet[0] = VERSION << 6;
  packet[1] = (header.marker ? 0x80 : 0) | header.payloadType;
  packet[2] = header.sequenceNumber >> 8;
  packet[3] = header.sequenceNumber;
  writeUint32(packet, 4, header.timestamp);
  writeUint32(packet, 8, header.ssrc);
}

/** One buffer of its own: a header, then a copy of `payload`. */
export function serializeRtpPacket(header: RtpHeader, payload: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + payload.length);
  writeRtpHeader(packet, header);
  packet.set(payload, RTP_HEADER_BYTES);
  return packet;
}

function uint32At(bytes: Buffer, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function writeUint32(bytes: Buffer, at: number, value: number): void {
  // Modulo 2^32, also of a number past it.
  const word = value | 0;
  bytes[at] = word >> 24;
  bytes[at + 1] = word >> 16;
  bytes[at + 2] = word >> 8;
  bytes[at + 3] = word;
}
