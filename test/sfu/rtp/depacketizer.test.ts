import { describe, expect, test } from 'vitest';
import { SeededRandom } from './malformed.ts';
import { FRAME_TICKS, packetsOf, packetWith, Receiver, syntheticFrame } from './streams.ts';

/** Frame sizes around the edges of packets of 1,180 and 50 bytes, and some that fill many. */
const SIZES = [12, 13, 40, 45, 46, 47, 49, 50, 51, 95, 96, 97, 1175, 1176, 1177, 1179, 1180, 1181, 2352, 2353, 70_001];

describe.each(['vp8', 'h264'] as const)('%s', (codec) => {
  /** Ten frames of several packets each, of which the first and the seventh are keyframes. */
  const stream = () => {
    const random = new SeededRandom(3);
    const frames = Array.from({ length: 10 }, (_, i) => syntheticFrame(codec, random, 3000, i % 6 === 0));
    return { frames, packets: packetsOf(codec, frames) };
  };
  const indexes = (frames: readonly Buffer[], receiver: Receiver) =>
    receiver.frames.map(({ data }) => frames.findIndex((frame) => frame.equals(data)));

  test.each([1180, 50])('frames of any size come back as they were, in payloads of at most %i bytes', (maxBytes) => {
    const random = new SeededRandom(1);
    const frames = SIZES.flatMap((size) => [
      syntheticFrame(codec, random, size, true),
      syntheticFrame(codec, random, size, false),
    ]);
    const packets = packetsOf(codec, frames, maxBytes);
    const receiver = new Receiver(codec).receive(...packets.flat());
    expect(receiver.losses).toBe(0);
    expect(indexes(frames, receiver)).toEqual(frames.map((_, i) => i));
    expect(receiver.frames.map(({ isKeyframe }) => isKeyframe)).toEqual(frames.map((_, i) => i % 2 === 0));
    expect(receiver.frames.map(({ pts }) => pts - receiver.frames[0].pts)).toEqual(
      frames.map((_, i) => i * FRAME_TICKS),
    );
    for (const { payload } of packets.flat()) expect(payload.length).toBeLessThanOrEqual(maxBytes);
    for (const ofFrame of packets) {
      expect(ofFrame.map(({ marker }) => marker)).toEqual(ofFrame.map((_, i) => i === ofFrame.length - 1));
    }
  });

  test('a frame that lacks any one packet is never given out, nor is any after it before the next keyframe', () => {
    const { frames, packets } = stream();
    for (const [frame, ofFrame] of packets.entries()) {
      for (const missing of ofFrame.keys()) {
        const receiver = new Receiver(codec);
        for (const [i, others] of packets.entries()) {
          if (i !== frame) receiver.receive(...others);
          else {
            receiver.receive(...others.slice(0, missing)).lose(1);
            receiver.receive(...others.slice(missing + 1));
          }
        }
        const next = frame === 0 ? 6 : frame <= 6 ? 6 : 10;
        const expected = frames.map((_, i) => i).filter((i) => i < frame || (i >= next && i !== frame));
        expect(indexes(frames, receiver)).toEqual(frame === 6 ? [0, 1, 2, 3, 4, 5] : expected);
        expect(receiver.losses).toBeGreaterThan(0);
      }
    }
  });

  test('a hole that nobody announced is seen by the sequence numbers', () => {
    const { frames, packets } = stream();
    const receiver = new Receiver(codec);
    const flat = packets.flat();
    const missing = packets[0].length + 1;
    for (const [i, packet] of flat.entries()) if (i !== missing) receiver.depacketizer.onPacket(packet, i);
    expect(indexes(frames, receiver)).toEqual([0, 6, 7, 8, 9]);
    expect(receiver.losses).toBe(1);
  });

  test('a loss is told once for the packets that went missing together', () => {
    const { packets } = stream();
    const receiver = new Receiver(codec).receive(...packets[0]).lose(5);
    receiver.receive(...packets[3]);
    expect(receiver.losses).toBe(1);
  });

  test('what comes before the first keyframe is passed over, and is no loss', () => {
    const { frames, packets } = stream();
    const receiver = new Receiver(codec).receive(...packets.slice(2).flat());
    expect(indexes(frames, receiver)).toEqual([6, 7, 8, 9]);
    expect(receiver.losses).toBe(0);
    expect(receiver.depacketizer.counters()).toMatchObject({ frames: 4, keyframes: 1, malformed: 0, losses: 0 });
  });

  test('starting within a keyframe waits for the next', () => {
    const { frames, packets } = stream();
    const receiver = new Receiver(codec).receive(...packets.flat().slice(2));
    expect(indexes(frames, receiver)).toEqual([6, 7, 8, 9]);
  });

  test('frames without markers end where the timestamp changes', () => {
    const { frames, packets } = stream();
    const receiver = new Receiver(codec);
    for (const packet of packets.flat()) receiver.receive({ ...packet, marker: false });
    expect(indexes(frames, receiver)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(receiver.losses).toBe(0);
  });

  test('packets of padding between frames change nothing; within one they are a hole', () => {
    const { frames, packets } = stream();
    const padding = packetWith(Buffer.alloc(0), { timestamp: packets[0][0].timestamp });
    const between = new Receiver(codec);
    for (const ofFrame of packets) between.receive(...ofFrame, padding, padding);
    expect(indexes(frames, between)).toEqual(frames.map((_, i) => i));
    const within = new Receiver(codec).receive(
      packets[0][0],
      padding,
      ...packets[0].slice(1),
      ...packets.slice(1).flat(),
    );
    expect(indexes(frames, within)).toEqual([6, 7, 8, 9]);
  });

  test('after a restart the next keyframe is awaited, and pts go on growing', () => {
    const { frames, packets } = stream();
    const receiver = new Receiver(codec).receive(...packets.slice(0, 4).flat());
    receiver.depacketizer.onRestart();
    receiver.receive(...packets.slice(4).flat());
    receiver.depacketizer.onRestart();
    receiver.receive(...packets.flat());
    expect(indexes(frames, receiver)).toEqual([0, 1, 2, 3, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const pts = receiver.frames.map((frame) => frame.pts);
    expect(pts.every((value, i) => i === 0 || value > pts[i - 1])).toBe(true);
    expect(receiver.losses).toBe(2);
  });

  test('a frame without end is given up at its limit, in bytes and in pieces', () => {
    const random = new SeededRandom(5);
    const [packets] = packetsOf(codec, [syntheticFrame(codec, random, 100_000, true)], 200);
    for (const limits of [{ maxFrameBytes: 50_000 }, { maxFramePieces: 100 }]) {
      const receiver = new Receiver(codec, limits).receive(...packets);
      expect(receiver.frames).toHaveLength(0);
      expect(receiver.losses).toBe(1);
      expect(receiver.depacketizer.counters().malformed).toBe(1);
    }
  });

  test("a frame's memory is its own", () => {
    const { packets } = stream();
    const [{ data }] = new Receiver(codec).receive(...packets[0]).frames;
    expect(data.buffer.byteLength).toBe(data.byteLength);
  });
});
