import { expect, test } from 'vitest';
import { parseRtpPacket, RTP_HEADER_BYTES, type RtpHeader, serializeRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';

const HEADER: RtpHeader = {
  marker: true,
  payloadType: 101,
  sequenceNumber: 0xfffe,
  timestamp: 0xfedc_ba98,
  ssrc: 0x89ab_cdef,
};
const PAYLOAD = Buffer.from('payload');

/** First byte, then what follows the fixed header. */
function packetWith(flags: number, rest: readonly number[]): Buffer {
  const packet = Buffer.concat([serializeRtpPacket(HEADER, Buffer.alloc(0)), Buffer.from(rest)]);
  packet[0] |= flags;
  return packet;
}

test('a packet reads back as it was written', () => {
  const packet = serializeRtpPacket(HEADER, PAYLOAD);
  expect(packet.subarray(0, RTP_HEADER_BYTES).toString('hex')).toBe('80e5fffefedcba9889abcdef');
  expect(parseRtpPacket(packet)).toEqual({ ...HEADER, payload: PAYLOAD });
});

test('an unwrapped timestamp is sent as its low 32 bits', () => {
  const packet = serializeRtpPacket({ ...HEADER, timestamp: 5 * 2 ** 32 + 7 }, PAYLOAD);
  expect(parseRtpPacket(packet)?.timestamp).toBe(7);
});

test('the payload is a view, not a copy', () => {
  const packet = serializeRtpPacket(HEADER, PAYLOAD);
  expect(parseRtpPacket(packet)!.payload.buffer).toBe(packet.buffer);
});

test('CSRCs, an extension of either kind, and padding are stepped over', () => {
  const csrcs = [1, 2, 3, 4, 5, 6, 7, 8];
  const oneByte = [0xbe, 0xde, 0, 2, 0x10, 0xaa, 0x22, 1, 2, 3, 0, 0];
  const twoByte = [0x10, 0x00, 0, 1, 1, 2, 9, 9];
  const payload = (flags: number, rest: number[]) => parseRtpPacket(packetWith(flags, rest))?.payload.toString();
  expect(payload(0x02, [...csrcs, ...PAYLOAD])).toBe('payload');
  expect(payload(0x10, [...oneByte, ...PAYLOAD])).toBe('payload');
  expect(payload(0x12, [...csrcs, ...twoByte, ...PAYLOAD])).toBe('payload');
  expect(payload(0x32, [...csrcs, ...oneByte, ...PAYLOAD, 0, 0, 3])).toBe('payload');
});

test('a packet of padding alone has an empty payload', () => {
  expect(parseRtpPacket(packetWith(0x20, [0, 0, 0, 4]))?.payload).toHaveLength(0);
});

test.each([
  ['an empty buffer', Buffer.alloc(0)],
  ['a header cut short', serializeRtpPacket(HEADER, PAYLOAD).subarray(0, 11)],
  ['version 1', packetWith(0, []).fill(0x40, 0, 1)],
  ['version 3', packetWith(0x40, [...PAYLOAD])],
  ['CSRCs past the end', packetWith(0x0f, [1, 2, 3, 4])],
  ['an extension header past the end', packetWith(0x10, [0xbe, 0xde, 0])],
  ['an extension past the end', packetWith(0x10, [0xbe, 0xde, 0, 2, 1, 2, 3, 4])],
  ['padding of zero bytes', packetWith(0x20, [1, 2, 0])],
  ['padding that reaches into the header', packetWith(0x20, [1, 2, 4])],
  ['padding that reaches into the extension', packetWith(0x30, [0xbe, 0xde, 0, 1, 0, 0, 0, 2])],
])('%s is refused', (_what, packet) => {
  expect(parseRtpPacket(packet)).toBeNull();
});
