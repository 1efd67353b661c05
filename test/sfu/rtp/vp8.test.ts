import { describe, expect, test } from 'vitest';
import { parseVp8Descriptor } from '../../../sfu/rtp/vp8-descriptor.ts';
import { parseVp8FrameHeader } from '../../../sfu/rtp/vp8-frame-header.ts';
import { Vp8Packetizer } from '../../../sfu/rtp/vp8-packetizer.ts';
import { SeededRandom } from './malformed.ts';
import { packetsOf, Receiver, vp8Frame } from './streams.ts';

const descriptor = (hex: string) => parseVp8Descriptor(Buffer.from(hex, 'hex'));

describe('the payload descriptor', () => {
  test.each([
    ['10aa', { bytes: 1, startsPartition: true, partition: 0, pictureId: -1, isNonReference: false }],
    ['25aa', { bytes: 1, startsPartition: false, partition: 5, isNonReference: true }],
    ['90807faa', { bytes: 3, pictureId: 0x7f }],
    ['908081ffaa', { bytes: 4, pictureId: 0x1ff }],
    ['9040abaa', { bytes: 3, pictureId: -1, tl0PicIdx: 0xab }],
    ['9020bfaa', { bytes: 3, temporalLayer: 2, isLayerSync: true, keyIdx: -1 }],
    ['9010bfaa', { bytes: 3, temporalLayer: -1, isLayerSync: false, keyIdx: 31 }],
    [
      '90f0ffff4ec3aa',
      { bytes: 6, pictureId: 0x7fff, tl0PicIdx: 0x4e, temporalLayer: 3, isLayerSync: false, keyIdx: 3 },
    ],
  ])('%s', (hex, expected) => {
    expect(descriptor(hex)).toMatchObject(expected);
  });

  test('is refused where it is cut short, or no frame byte follows', () => {
    const longest = '90f0ffff4ec3aa';
    for (let bytes = 0; bytes < longest.length / 2; bytes++) expect(descriptor(longest.slice(0, 2 * bytes))).toBeNull();
  });
});

describe('the frame header', () => {
  test('says whether it is a keyframe, and its size', () => {
    const random = new SeededRandom(1);
    expect(parseVp8FrameHeader(vp8Frame(random, 900, true))).toEqual({
      isKeyframe: true,
      size: { width: 0x140, height: 0x108 },
    });
    expect(parseVp8FrameHeader(vp8Frame(random, 900, false))).toEqual({ isKeyframe: false, size: null });
  });

  test('is refused without the start code, without a size, and with a partition longer than the frame', () => {
    const keyframe = vp8Frame(new SeededRandom(1), 400, true);
    expect(parseVp8FrameHeader(keyframe.subarray(0, 399))).toBeNull();
    const noCode = Buffer.from(keyframe).fill(0, 3, 6);
    expect(parseVp8FrameHeader(noCode)).toBeNull();
    const noWidth = Buffer.from(keyframe).fill(0, 6, 8);
    expect(parseVp8FrameHeader(noWidth)).toBeNull();
  });
});

test('the PictureID grows by one a frame, is the same in all its packets, and wraps after 15 bits', () => {
  const random = new SeededRandom(2);
  const packetizer = new Vp8Packetizer({ firstPictureId: 0x7ffe, maxPayloadBytes: 500 });
  const ids = Array.from({ length: 4 }, () => {
    const ofFrame: number[] = [];
    packetizer.packetize(vp8Frame(random, 1800, true), (packet) => {
      ofFrame.push(parseVp8Descriptor(packet.subarray(12))!.pictureId);
    });
    return ofFrame;
  });
  expect(ids).toEqual([0x7ffe, 0x7fff, 0, 1].map((id) => [id, id, id, id]));
});

test('S stands in the first packet of a frame only', () => {
  const [packets] = packetsOf('vp8', [vp8Frame(new SeededRandom(2), 5000, true)]);
  expect(packets.map(({ payload }) => parseVp8Descriptor(payload)!.startsPartition)).toEqual(
    packets.map((_, i) => i === 0),
  );
});

test('a frame cut at its partitions, as others do it, is put together', () => {
  const frame = vp8Frame(new SeededRandom(4), 900, true);
  const receiver = new Receiver('vp8').receivePayloads([
    Buffer.concat([Buffer.of(0x10), frame.subarray(0, 300)]),
    Buffer.concat([Buffer.of(0x00), frame.subarray(300, 600)]),
    Buffer.concat([Buffer.of(0x11), frame.subarray(600)]),
  ]);
  expect(receiver.frames.map(({ data }) => frame.equals(data))).toEqual([true]);
});

test('a second beginning within a frame is a loss', () => {
  const [packets] = packetsOf('vp8', [vp8Frame(new SeededRandom(4), 3000, true)]);
  const receiver = new Receiver('vp8').receive(packets[0], packets[0], ...packets.slice(1));
  expect(receiver.frames).toHaveLength(0);
  expect(receiver.losses).toBe(1);
});

test('a frame whose last packet is unmarked is a loss, once the sender has marked others', () => {
  const random = new SeededRandom(4);
  const frames = [vp8Frame(random, 3000, true), vp8Frame(random, 3000, false), vp8Frame(random, 3000, false)];
  const packets = packetsOf('vp8', frames);
  packets[1] = packets[1].map((packet) => ({ ...packet, marker: false }));
  const receiver = new Receiver('vp8').receive(...packets.flat());
  expect(receiver.frames).toHaveLength(1);
  expect(receiver.losses).toBe(1);
});

test('a keyframe whose header is damaged is a loss', () => {
  const frame = vp8Frame(new SeededRandom(4), 3000, true);
  frame[4] ^= 0xff;
  const receiver = new Receiver('vp8').receive(...packetsOf('vp8', [frame])[0]);
  expect(receiver.frames).toHaveLength(0);
  expect(receiver.losses).toBe(1);
});
