import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { Depacketizer, type FrameLimits, type FrameSink } from './depacketizer.ts';
import { H264Payloads } from './h264-depacketizer.ts';
import { H264Packetizer } from './h264-packetizer.ts';
import type { Packetizer } from './packetizer.ts';
import { Vp8Payloads } from './vp8-depacketizer.ts';
import { Vp8Packetizer } from './vp8-packetizer.ts';

/** A depacketizer for one incoming stream. */
export function createDepacketizer(codec: VideoCodec, sink: FrameSink, limits?: FrameLimits): Depacketizer {
  return new Depacketizer(codec === 'vp8' ? new Vp8Payloads() : new H264Payloads(), sink, limits);
}

/** A packetizer for one outgoing stream. */
export function createPacketizer(codec: VideoCodec, maxPayloadBytes?: number): Packetizer {
  return codec === 'vp8' ? new Vp8Packetizer({ maxPayloadBytes }) : new H264Packetizer({ maxPayloadBytes });
}
