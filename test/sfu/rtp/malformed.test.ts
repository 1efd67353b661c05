import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { JitterBuffer } from '../../../sfu/rtp/jitter-buffer.ts';
import { createDepacketizer } from '../../../sfu/rtp/payload-formats.ts';
import { buildSenderReport, keyframeRequestsIn, senderReportIn } from '../../../sfu/rtp/rtcp.ts';
import { parseRtpPacket, RTP_HEADER_BYTES, type RtpPacket, serializeRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { parseVp8Descriptor } from '../../../sfu/rtp/vp8-descriptor.ts';
import { malformedCases, SeededRandom } from './malformed.ts';
import { packetsOf, packetWith, Receiver, syntheticFrame } from './streams.ts';

const CASES = 6000;
/** A thousand times what these take: catches what hangs or grows quadratically, not a busy machine. */
const MAX_MS = 30_000;
const MAX_FRAME_BYTES = 20_000;

let startedMs = 0;
beforeEach(() => {
  startedMs = performance.now();
});
afterEach(() => {
  expect(performance.now() - startedMs).toBeLessThan(MAX_MS);
});

const CSRCS_AND_EXTENSION = Buffer.from('b2e0000100000002000000030000000400000005bede0001109900000a0b0c0d0001', 'hex');

test(`${CASES} malformed RTP packets: null, or a payload that lies within the packet`, () => {
  const random = new SeededRandom(1);
  const valid = [
    serializeRtpPacket({ marker: true, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: 3 }, random.bytes(200)),
    CSRCS_AND_EXTENSION,
  ];
  let refused = 0;
  for (const message of malformedCases(valid, CASES, 1)) {
    const packet = parseRtpPacket(message);
    if (packet === null) refused++;
    else {
      const start = packet.payload.byteOffset - message.byteOffset;
      expect(packet.payload.buffer).toBe(message.buffer);
      expect(start).toBeGreaterThanOrEqual(RTP_HEADER_BYTES);
      expect(start + packet.payload.length).toBeLessThanOrEqual(message.length);
    }
  }
  expect(parseRtpPacket(CSRCS_AND_EXTENSION)?.payload.toString('hex')).toBe('0a0b0c0d00');
  expect(refused).toBeGreaterThan(CASES / 4);
  expect(refused).toBeLessThan(CASES);
});

test(`${CASES} malformed RTCP packets: no more than a bounded list of streams, and times that are numbers`, () => {
  const report = { ssrc: 1, ntpMs: 1.7e12, rtpTimestamp: 2, packetCount: 3, octetCount: 4, cname: 'somebody' };
  const feedback = Buffer.from('81ce0002111111112222222284ce000411111111000000003333333301000000', 'hex');
  const valid = [buildSenderReport(report), feedback, Buffer.concat([buildSenderReport(report), feedback])];
  let silent = 0;
  for (const message of malformedCases(valid, CASES, 2)) {
    const requested = keyframeRequestsIn(message);
    expect(requested.length).toBeLessThanOrEqual(32);
    expect(new Set(requested).size).toBe(requested.length);
    const found = senderReportIn(message);
    if (found !== null) expect(Number.isFinite(found.ntpMs + found.rtpTimestamp + found.ssrc)).toBe(true);
    if (requested.length === 0 && found === null) silent++;
  }
  expect(silent).toBeGreaterThan(CASES / 4);
  expect(silent).toBeLessThan(CASES);
});

describe.each(['vp8', 'h264'] as const)('%s', (codec) => {
  test(`${CASES} malformed payloads: every frame that comes of them is bounded, and a good keyframe ends the trouble`, () => {
    const random = new SeededRandom(3);
    const frames = Array.from({ length: 6 }, (_, i) => syntheticFrame(codec, random, 900, i === 0));
    const honest = packetsOf(codec, frames, 300);
    const receiver = new Receiver(codec, { maxFrameBytes: MAX_FRAME_BYTES, maxFramePieces: 100 });
    const valid = honest.flat().map(({ payload }) => payload);
    let timestamp = 0;
    for (const payload of malformedCases(valid, CASES, 3)) {
      if (codec === 'vp8') expect(() => parseVp8Descriptor(payload)).not.toThrow();
      if (random.chance(0.3)) timestamp = random.uint32();
      receiver.receive(packetWith(payload, { marker: random.chance(0.3), timestamp }));
    }
    const { malformed, losses } = receiver.depacketizer.counters();
    expect(malformed).toBeGreaterThan(CASES / 20);
    expect(losses).toBe(receiver.losses);
    for (const { data, pts } of receiver.frames) {
      expect(data.length).toBeLessThanOrEqual(MAX_FRAME_BYTES + 2 * 4096);
      expect(Number.isSafeInteger(pts) && pts >= 0).toBe(true);
    }
    const before = receiver.frames.length;
    const [last] = packetsOf(codec, [frames[0]]);
    receiver.receive(packetWith(Buffer.of(0xff), { marker: true }), ...last);
    expect(receiver.frames.slice(before).map(({ data }) => frames[0].equals(data))).toEqual([true]);
  });

  test(`${CASES} streams that lost, swapped, doubled and damaged packets: no frame with a hole, none that lacks the one before`, () => {
    const random = new SeededRandom(4);
    const frames = Array.from({ length: 24 }, (_, i) =>
      syntheticFrame(codec, random, 100 + random.below(1500), i % 8 === 0),
    );
    const indexes = new Map(frames.map((frame, i) => [frame.toString('latin1'), i]));
    const packets = packetsOf(codec, frames, 300).flat();
    let given = 0;
    let whole = 0;
    for (let i = 0; i < CASES; i++) {
      const received = receiveImpaired(codec, packets, random);
      const order = received.frames.map(({ data }) => indexes.get(Buffer.from(data).toString('latin1')) ?? -1);
      const wrong = order.findIndex((frame, at) => frame < 0 || (frame % 8 !== 0 && order[at - 1] !== frame - 1));
      expect(wrong, `case ${i}: ${order}`).toBe(-1);
      expect(received.mostWaiting).toBeLessThanOrEqual(MAX_WAITING);
      given += order.length;
      if (order.length === frames.length) whole++;
    }
    // Most frames get through a little damage, but damage there was.
    expect(given).toBeGreaterThan(CASES * 8);
    expect(whole).toBeLessThan(CASES / 2);
  });
});

const MAX_WAITING = 64;

/**
 * Ways to harm a packet's header. Its number is not put so near that it stands in for another packet that was lost: a
 * forgery, against which SRTP stands.
 */
const HARMS: readonly ((packet: Buffer, random: SeededRandom) => void)[] = [
  (packet, random) => packet.writeUInt16BE((packet.readUInt16BE(2) + 0x1000 + random.below(0xe000)) & 0xffff, 2),
  (packet, random) => packet.writeUInt32BE(random.uint32(), 8),
  (packet) => packet.writeUInt8(packet[0] & 0x3f, 0),
  (packet) => {
    packet[0] |= 0x20;
    packet[packet.length - 1] = 0;
  },
];

/**
 * Sends packets through the whole receiver, impaired: each is a millisecond after the one before, some are lost,
 * doubled or late, and a few are harmed.
 */
function receiveImpaired(codec: VideoCodec, packets: readonly RtpPacket[], random: SeededRandom) {
  const frames: CodedVideo[] = [];
  const sink = { onVideo: (frame: CodedVideo) => frames.push(frame), onLoss: () => {} };
  const buffer = new JitterBuffer(createDepacketizer(codec, sink), { maxWaitMs: 20, maxPackets: MAX_WAITING });
  const harm = random.pick([0, 0.01, 0.05]);
  const loss = random.pick([0, 0.01, 0.05]);
  const sent: { bytes: Buffer; atMs: number }[] = [];
  for (const [i, packet] of packets.entries()) {
    if (random.chance(loss)) continue;
    const bytes = serializeRtpPacket(packet, packet.payload);
    // The first says where the stream begins: all that is known is known from it.
    if (i > 0 && random.chance(harm)) random.pick(HARMS)(bytes, random);
    for (let copies = random.chance(0.02) ? 2 : 1; copies > 0; copies--) {
      sent.push({ bytes, atMs: i + (random.chance(0.1) ? random.below(30) : 0) });
    }
  }
  sent.sort((a, b) => a.atMs - b.atMs);
  let mostWaiting = 0;
  for (const { bytes, atMs } of sent) {
    const packet = parseRtpPacket(bytes);
    if (packet !== null) buffer.push(packet, atMs);
    mostWaiting = Math.max(mostWaiting, buffer.counters().waiting);
  }
  buffer.poll(Number.POSITIVE_INFINITY);
  return { frames, mostWaiting };
}
