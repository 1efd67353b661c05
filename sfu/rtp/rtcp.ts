import { fromNtp, type NtpTime, toNtp } from './ntp.ts';

/** What a sender says of one of its streams: which RTP timestamp stands for which moment of its clock. */
export interface SenderReport {
  readonly ssrc: number;
  /** Unix time in ms, with fractions. Some senders count from elsewhere: only differences mean something. */
  readonly ntpMs: number;
  /** 32 bits. */
  readonly rtpTimestamp: number;
}

export interface OutgoingReport extends SenderReport {
  readonly packetCount: number;
  /** Of payload. */
  readonly octetCount: number;
  /** Names the sender across its streams, so that they are kept in step; at most 255 bytes of UTF-8. */
  readonly cname: string;
}

const VERSION = 2;
const HEADER_BYTES = 4;
const REPORT_BYTES = 28;
const TYPE = { senderReport: 200, description: 202, payloadFeedback: 206 } as const;
/** RFC 4585 §6.3.1; RFC 5104 §4.3.1. */
const FEEDBACK = { pictureLoss: 1, fullIntraRequest: 4 } as const;
const CNAME_ITEM = 1;
/** Feedback headers: common header, SSRC of the sender, SSRC of the media. */
const FEEDBACK_BYTES = 12;
const FIR_ENTRY_BYTES = 8;
/** Most streams that one packet may ask keyframes of; more is no honest packet. */
const MAX_REQUESTS = 32;

/**
 * Walks over a compound packet, or a lone one (RFC 5506).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |V=2|P| count/FMT |      PT       |  length in words, less one    |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * @returns false where any part of it is malformed (RFC 3550 A.2: then nothing of it is to be believed)
 */
function walk(buffer: Buffer, visit: (type: number, format: number, start: number, end: number) => void): boolean {
  let start = 0;
  while (start < buffer.length) {
    if (start + HEADER_BYTES > buffer.length || buffer[start] >> 6 !== VERSION) return false;
    const next = start + 4 * (buffer.readUInt16BE(start + 2) + 1);
    if (next > buffer.length) return false;
    let end = next;
    if ((buffer[start] & 0x20) !== 0) {
      // §6.4.1: only the last of a compound is padded, by whole words, and its last octet counts them.
      const padding = buffer[next - 1];
      if (next !== buffer.length || padding === 0 || padding % 4 !== 0) return false;
      end -= padding;
      if (end < start + HEADER_BYTES) return false;
    }
    visit(buffer[start + 1], buffer[start] & 0x1f, start, end);
    start = next;
  }
  return start > 0;
}

/**
 * The streams of which a packet asks a keyframe, by PLI or FIR, each once. Stateless: a FIR that is repeated with the
 * same sequence number (RFC 5104 §4.3.1.2) is answered again, which the caller's rate limit makes up for.
 * @returns SSRCs; empty where there are none or the packet is malformed
 */
export function keyframeRequestsIn(buffer: Buffer): number[] {
  const requested: number[] = [];
  const request = (at: number): void => {
    const ssrc = buffer.readUInt32BE(at);
    if (requested.length < MAX_REQUESTS && !requested.includes(ssrc)) requested.push(ssrc);
  };
  const isWell = walk(buffer, (type, format, start, end) => {
    if (type !== TYPE.payloadFeedback || end - start < FEEDBACK_BYTES) return;
    if (format === FEEDBACK.pictureLoss) request(start + 8);
    if (format !== FEEDBACK.fullIntraRequest) return;
    // RFC 5104 §4.3.1.1: entries of SSRC, sequence number and three reserved bytes; the header's media SSRC is unused.
    for (let at = start + FEEDBACK_BYTES; at + FIR_ENTRY_BYTES <= end; at += FIR_ENTRY_BYTES) request(at);
  });
  return isWell ? requested : [];
}

/**
 * The first sender report in a packet.
 *
 *     |V=2|P|    RC   |   PT=SR=200   |             length            |
 *     |                         SSRC of sender                        |
 *     |              NTP timestamp, most significant word             |
 *     |             NTP timestamp, least significant word             |
 *     |                         RTP timestamp                         |
 *     |                     sender's packet count                     |
 *     |                      sender's octet count                     |
 *
 * @returns null where there is none or the packet is malformed
 * @see RFC 3550 §6.4.1
 */
export function senderReportIn(buffer: Buffer): SenderReport | null {
  let at = -1;
  const isWell = walk(buffer, (type, _format, start, end) => {
    if (at < 0 && type === TYPE.senderReport && end - start >= REPORT_BYTES) at = start;
  });
  if (!isWell || at < 0) return null;
  const ntp: NtpTime = { seconds: buffer.readUInt32BE(at + 8), fraction: buffer.readUInt32BE(at + 12) };
  return { ssrc: buffer.readUInt32BE(at + 4), ntpMs: fromNtp(ntp), rtpTimestamp: buffer.readUInt32BE(at + 16) };
}

/** A sender report without reception blocks, and the SDES that has to go with it (RFC 3550 §6.1, §6.5). */
export function buildSenderReport(report: OutgoingReport): Buffer {
  const cname = Buffer.from(report.cname).subarray(0, 255);
  // One chunk: SSRC, the CNAME item, and one to four zeros that end the list on a word.
  const chunkBytes = 4 * Math.floor((4 + 2 + cname.length) / 4 + 1);
  const packet = Buffer.alloc(REPORT_BYTES + HEADER_BYTES + chunkBytes);
  const ntp = toNtp(report.ntpMs);
  writeHeader(packet, 0, TYPE.senderReport, 0, REPORT_BYTES);
  packet.writeUInt32BE(report.ssrc, 4);
  packet.writeUInt32BE(ntp.seconds, 8);
  packet.writeUInt32BE(ntp.fraction, 12);
  packet.writeUInt32BE(report.rtpTimestamp >>> 0, 16);
  packet.writeUInt32BE(report.packetCount >>> 0, 20);
  packet.writeUInt32BE(report.octetCount >>> 0, 24);
  writeHeader(packet, REPORT_BYTES, TYPE.description, 1, HEADER_BYTES + chunkBytes);
  const chunk = REPORT_BYTES + HEADER_BYTES;
  packet.writeUInt32BE(report.ssrc, chunk);
  packet[chunk + 4] = CNAME_ITEM;
  packet[chunk + 5] = cname.length;
  packet.set(cname, chunk + 6);
  return packet;
}

function writeHeader(packet: Buffer, at: number, type: number, count: number, bytes: number): void {
  packet[at] = (VERSION << 6) | count;
  packet[at + 1] = type;
  packet.writeUInt16BE(bytes / 4 - 1, at + 2);
}
