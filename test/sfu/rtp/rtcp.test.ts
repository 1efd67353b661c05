import { describe, expect, test } from 'vitest';
import { buildSenderReport, keyframeRequestsIn, senderReportIn } from '../../../sfu/rtp/rtcp.ts';
import { RtpStream } from '../../../sfu/rtp/rtp-stream.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** From sender 0x11111111 about 0x22222222. */
const PLI = hex('81ce0002 11111111 22222222');
/** Two entries: 0x33333333 and 0x44444444. */
const FIR = hex('84ce0006 11111111 00000000 33333333 01000000 44444444 02000000');
const RECEIVER_REPORT = hex('80c90001 11111111');
const REPORT = {
  ssrc: 0xdead_beef,
  ntpMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  rtpTimestamp: 0xffff_fff0,
  packetCount: 17,
  octetCount: 4242,
  cname: 'stream-7',
};

/** NTP's fraction is finer than a microsecond, to which times are read back. */
const MICROSECOND_MS = 0.001;

describe('a sender report', () => {
  test('reads back', () => {
    expect(senderReportIn(buildSenderReport(REPORT))).toEqual({
      ssrc: REPORT.ssrc,
      ntpMs: REPORT.ntpMs,
      rtpTimestamp: REPORT.rtpTimestamp,
    });
  });

  test('is byte for byte that of RFC 3550, with its SDES', () => {
    const built = buildSenderReport({ ...REPORT, ntpMs: 500, cname: 'abc' });
    expect(built.toString('hex')).toBe(
      ['80c80006 deadbeef 83aa7e80 80000000 fffffff0 00000011 00001092', '81ca0003 deadbeef 0103616263 000000']
        .join('')
        .replaceAll(' ', ''),
    );
  });

  test.each([0, 1, 2, 3, 4, 5, 255, 300])(
    'is whole words and ends its SDES with a zero, for a name of %i bytes',
    (length) => {
      const built = buildSenderReport({ ...REPORT, cname: 'x'.repeat(length) });
      const named = Math.min(length, 255);
      expect(built.length % 4).toBe(0);
      expect(built.length).toBe(28 + 4 * (built.readUInt16BE(30) + 1));
      expect(built[37]).toBe(named);
      expect(built.length - (38 + named)).toBeGreaterThanOrEqual(1);
      expect(built.length - (38 + named)).toBeLessThanOrEqual(4);
      expect(built.subarray(38 + named).every((byte) => byte === 0)).toBe(true);
      expect(senderReportIn(built)?.ssrc).toBe(REPORT.ssrc);
    },
  );

  test.each([
    ['a fraction', 1_700_000_000_123.456],
    ['almost a whole second', 1_700_000_000_999.9998],
    ['before 2036', Date.UTC(2036, 1, 7, 6, 28, 15)],
    ['after 2036, in the next era', Date.UTC(2036, 1, 7, 6, 28, 17)],
  ])('keeps the time: %s', (_what, ntpMs) => {
    const read = senderReportIn(buildSenderReport({ ...REPORT, ntpMs }))!;
    expect(Math.abs(read.ntpMs - ntpMs)).toBeLessThan(MICROSECOND_MS);
  });

  test('sends the low 32 bits of unwrapped numbers', () => {
    const built = buildSenderReport({ ...REPORT, rtpTimestamp: 2 ** 33 + 5, octetCount: 2 ** 32 + 6 });
    expect(senderReportIn(built)?.rtpTimestamp).toBe(5);
    expect(built.readUInt32BE(24)).toBe(6);
  });

  test('is found behind other packets, and not where there is none', () => {
    expect(senderReportIn(Buffer.concat([RECEIVER_REPORT, buildSenderReport(REPORT)]))?.ssrc).toBe(REPORT.ssrc);
    expect(senderReportIn(Buffer.concat([RECEIVER_REPORT, PLI]))).toBeNull();
  });
});

describe('keyframe requests', () => {
  test.each([
    ['a PLI alone', PLI, [0x2222_2222]],
    ['a PLI in a compound', Buffer.concat([RECEIVER_REPORT, PLI]), [0x2222_2222]],
    ['a FIR, by its entries', FIR, [0x3333_3333, 0x4444_4444]],
    ['both, each stream once', Buffer.concat([PLI, FIR, PLI]), [0x2222_2222, 0x3333_3333, 0x4444_4444]],
    ['padded', hex('a1ce0003 11111111 22222222 00000004'), [0x2222_2222]],
    ['none in reports', buildSenderReport(REPORT), []],
    ['none in a NACK', hex('81cd0003 11111111 22222222 00010000'), []],
    ['none in REMB', hex('8fce0005 11111111 00000000 52454d42 01000000 22222222'), []],
  ])('%s', (_what, packet, expected) => {
    expect(keyframeRequestsIn(packet)).toEqual(expected);
  });

  test('no more than 32 streams are asked for by one packet', () => {
    const entries = Array.from({ length: 100 }, (_, i) => hex(`000000${i.toString(16).padStart(2, '0')}00000000`));
    const header = hex('84ce00ca 11111111 00000000');
    expect(keyframeRequestsIn(Buffer.concat([header, ...entries]))).toHaveLength(32);
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a header cut short', PLI.subarray(0, 3)],
  ['a packet cut short', Buffer.concat([PLI, PLI.subarray(0, 8)])],
  ['the wrong version', Buffer.concat([PLI, hex('01ce0002 11111111 22222222')])],
  ['a length past the end', hex('81ce0003 11111111 22222222')],
  ['padding in front', Buffer.concat([hex('a1ce0003 11111111 22222222 00000004'), PLI])],
  ['padding of no whole words', hex('a1ce0003 11111111 22222222 00000003')],
  ['padding longer than the packet', hex('a1ce0003 11111111 22222222 00000010')],
  ['bytes behind the end', Buffer.concat([PLI, Buffer.alloc(2)])],
])('of a malformed compound nothing is believed: %s', (_what, packet) => {
  expect(keyframeRequestsIn(packet)).toEqual([]);
  expect(
    senderReportIn(Buffer.concat([buildSenderReport(REPORT), packet.length > 0 ? packet : Buffer.of(0)])),
  ).toBeNull();
});

test("a stream's report counts its packets and payload bytes", () => {
  const stream = new RtpStream({ ssrc: 1, payloadType: 111, firstSequenceNumber: 65_535 });
  const packets = [stream.packet(Buffer.alloc(10), 0, true), stream.packet(Buffer.alloc(30), 960)];
  expect(packets.map((packet) => packet.readUInt16BE(2))).toEqual([65_535, 0]);
  expect(packets.map((packet) => packet[1])).toEqual([0x80 | 111, 111]);
  expect(stream).toMatchObject({ packetCount: 2, octetCount: 40 });
});
