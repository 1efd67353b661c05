import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { createDepacketizer, createPacketizer } from '../../../sfu/rtp/payload-formats.ts';
import { parseRtpPacket, type RtpPacket, serializeRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { RtpStream } from '../../../sfu/rtp/rtp-stream.ts';
import type { SeededRandom } from './malformed.ts';

/** 90 kHz ticks of a frame at 30 frames/s. */
export const FRAME_TICKS = 3000;

/** A frame with the headers of VP8 and, but for them, random bytes: no two are the same. */
export function vp8Frame(random: SeededRandom, bytes: number, isKeyframe: boolean): Buffer {
  const frame = random.bytes(Math.max(bytes, isKeyframe ? 12 : 4));
  const firstPartitionBytes = Math.min(frame.length - (isKeyframe ? 10 : 3), 500);
  const tag = (firstPartitionBytes << 5) | 0x10 | (isKeyframe ? 0 : 1);
  frame.writeUIntLE(tag, 0, 3);
  if (isKeyframe) Buffer.from('9d012a40010801', 'hex').copy(frame, 3);
  return frame;
}

/** An SPS with id 0 and a PPS with id 0 for it, of x264's, and Annex B around them. */
export const SPS = Buffer.from('6742c01fd9005005bb016a02020280000003008000001e478c1924', 'hex');
export const PPS = Buffer.from('68cb83cb20', 'hex');

export const annexB = (...units: Buffer[]) => Buffer.concat(units.flatMap((unit) => [Buffer.of(0, 0, 0, 1), unit]));

/** A slice with first_mb_in_slice 0 (or not), slice_type, PPS 0, then random bytes without any zero. */
export function h264Slice(random: SeededRandom, bytes: number, isIdr: boolean, isFirst = true): Buffer {
  const slice = random.bytes(Math.max(bytes, 8));
  for (let i = 0; i < slice.length; i++) slice[i] ||= 1;
  slice[0] = isIdr ? 0x65 : 0x41;
  // ue(v): first_mb 0 is '1', 3 is '00100'; slice_type 7 (I) is '0001000', 5 (P) '00110'; PPS 0 is '1'.
  const bits = `${isFirst ? '1' : '00100'}${isIdr ? '0001000' : '00110'}1`.padEnd(16, '1');
  slice.writeUInt16BE(Number.parseInt(bits, 2), 1);
  return slice;
}

/** An access unit of one or more slices, keyframes with SPS and PPS. */
export function h264Frame(random: SeededRandom, bytes: number, isKeyframe: boolean, slices = 1): Buffer {
  const units = Array.from({ length: slices }, (_, i) => h264Slice(random, bytes / slices, isKeyframe, i === 0));
  return annexB(...(isKeyframe ? [SPS, PPS] : []), ...units);
}

export function syntheticFrame(codec: VideoCodec, random: SeededRandom, bytes: number, isKeyframe: boolean): Buffer {
  return codec === 'vp8' ? vp8Frame(random, bytes, isKeyframe) : h264Frame(random, bytes, isKeyframe);
}

/** A stream's packets, taken apart again, frame by frame. */
export function packetsOf(codec: VideoCodec, frames: readonly Uint8Array[], maxPayloadBytes?: number): RtpPacket[][] {
  const packetizer = createPacketizer(codec, maxPayloadBytes);
  const stream = new RtpStream({ ssrc: 0x1234, payloadType: 96, firstSequenceNumber: 65_530 });
  return frames.map((frame, i) => {
    const packets: RtpPacket[] = [];
    // The timestamp wraps after the third frame.
    stream.sendFrame(frame, 2 ** 32 + (i - 3) * FRAME_TICKS, packetizer, (packet) => {
      packets.push(parseRtpPacket(packet)!);
    });
    return packets;
  });
}

export function packetWith(payload: Buffer, header: Partial<RtpPacket> = {}): RtpPacket {
  const whole = { marker: false, payloadType: 96, sequenceNumber: 0, timestamp: 0, ssrc: 1, ...header };
  return parseRtpPacket(serializeRtpPacket(whole, payload))!;
}

/** A depacketizer that writes down what it gives out. */
export class Receiver {
  readonly frames: CodedVideo[] = [];
  losses = 0;
  readonly depacketizer;
  #sequence = 100;

  constructor(codec: VideoCodec, limits?: { maxFrameBytes?: number; maxFramePieces?: number }) {
    const sink = { onVideo: (frame: CodedVideo) => this.frames.push(frame), onLoss: () => this.losses++ };
    this.depacketizer = createDepacketizer(codec, sink, limits);
  }

  /** In sequence, whatever their numbers say. */
  receive(...packets: RtpPacket[]): this {
    for (const packet of packets) this.depacketizer.onPacket(packet, this.#sequence++);
    return this;
  }

  lose(count: number): this {
    this.depacketizer.onLost(count);
    this.#sequence += count;
    return this;
  }

  /** One payload a packet, all of one frame; the last one marked. */
  receivePayloads(payloads: readonly (Buffer | string)[], timestamp = 0): this {
    return this.receive(
      ...payloads.map((payload, i) =>
        packetWith(typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload, {
          timestamp,
          marker: i === payloads.length - 1,
        }),
      ),
    );
  }
}
