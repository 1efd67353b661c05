import { writeFileSync } from 'node:fs';
import {
  BitStreamFilterAPI,
  Codec,
  CodecContext,
  Decoder,
  Demuxer,
  Dictionary,
  FF_ENCODER_LIBVPX_VP8,
  FF_ENCODER_LIBX264,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { AV_FRAME_FLAG_KEY, AV_PICTURE_TYPE_I, AV_PICTURE_TYPE_NONE, AV_PIX_FMT_YUV420P } from 'node-av/constants';
import type { CodedVideo, VideoCodec } from '../inference/live/coded-media.ts';

export interface LiveSourceOptions {
  readonly codec: VideoCodec;
  /** Default 3,000,000. */
  readonly bitrateBps?: number;
  /** Frames between keyframes; default only the first is one. */
  readonly keyframeEvery?: number;
  /** Default 30. */
  readonly fps?: number;
  /** FFmpeg's filter graph for the pictures, e.g. to scale them. */
  readonly filters?: string;
  /** The time of the first frame, in ticks of 90 kHz; default 0. */
  readonly startPts?: number;
}

/** Codes a clip's pictures as a browser would: without delay, one frame a picture, at a constant bit rate. */
export async function codeLive(file: string, options: LiveSourceOptions): Promise<CodedVideo[]> {
  const { codec, bitrateBps = 3_000_000, keyframeEvery = 0, fps = 30, filters = 'null', startPts = 0 } = options;
  await using demuxer = await Demuxer.open(file);
  const stream = demuxer.video()!;
  using decoder = await Decoder.create(stream);
  using filter = FilterAPI.create(filters, {});
  const packet = new Packet();
  packet.alloc();
  let encoder: CodecContext | undefined;
  const frames: CodedVideo[] = [];
  try {
    for await (const decoded of decoder.frames(demuxer.packets(stream.index))) {
      if (!decoded) continue;
      using source = decoded;
      filter.processSync(source);
      const filtered = filter.receiveSync();
      if (!(filtered instanceof Frame)) throw new Error('the filter gave no picture');
      using picture = filtered;
      encoder ??= await openEncoder(codec, picture, bitrateBps, fps);
      const index = frames.length;
      const pts = startPts + Math.round((index * 90_000) / fps);
      const isKey = index === 0 || (keyframeEvery > 0 && index % keyframeEvery === 0);
      picture.pts = BigInt(pts);
      picture.pictType = isKey ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
      picture.clearFlags(AV_FRAME_FLAG_KEY);
      FFmpegError.throwIfError(encoder.sendFrameSync(picture), 'encode');
      FFmpegError.throwIfError(encoder.receivePacketSync(packet), 'encode');
      frames.push({ data: new Uint8Array(packet.data!), pts, isKeyframe: packet.isKeyframe });
      packet.unref();
    }
  } finally {
    packet.free();
    encoder?.freeContext();
  }
  return frames;
}

async function openEncoder(codec: VideoCodec, like: Frame, bitrateBps: number, fps: number): Promise<CodecContext> {
  const encoder = Codec.findEncoderByName(codec === 'h264' ? FF_ENCODER_LIBX264 : FF_ENCODER_LIBVPX_VP8)!;
  const context = new CodecContext();
  context.allocContext3(encoder);
  context.width = like.width;
  context.height = like.height;
  context.pixelFormat = AV_PIX_FMT_YUV420P;
  context.timeBase = new Rational(1, 90_000);
  context.framerate = new Rational(fps, 1);
  context.threadCount = 1;
  context.gopSize = 1 << 20;
  context.maxBFrames = 0;
  context.bitRate = BigInt(bitrateBps);
  context.rcMaxRate = BigInt(bitrateBps);
  context.rcBufferSize = bitrateBps;
  using settings = Dictionary.fromObject(
    codec === 'h264'
      ? { preset: 'veryfast', tune: 'zerolatency', profile: 'baseline', 'forced-idr': 1 }
      : { deadline: 'realtime', 'cpu-used': -6, 'lag-in-frames': 0 },
  );
  FFmpegError.throwIfError(await context.open2(encoder, settings), 'open the encoder');
  return context;
}

/** The H.264 of a file as it is, B-frames and all, in decode order, in Annex B with its parameter sets in band. */
export async function readAnnexB(file: string): Promise<CodedVideo[]> {
  await using demuxer = await Demuxer.open(file);
  const stream = demuxer.video()!;
  using annexB = BitStreamFilterAPI.create('h264_mp4toannexb', stream);
  const frames: CodedVideo[] = [];
  for await (const packet of annexB.packets(demuxer.packets(stream.index))) {
    if (!packet) continue;
    const { num, den } = stream.timeBase;
    const pts = Math.round((Number(packet.pts) * num * 90_000) / den);
    frames.push({ data: new Uint8Array(packet.data!), pts, isKeyframe: packet.isKeyframe });
    packet.free();
  }
  return frames;
}

/**
 * Writes coded frames to a file that FFmpeg reads: `.h264` as they are, VP8 as IVF with its times.
 *
 *     IVF: "DKIF" version(2) headerLength(2) "VP80" width(2) height(2) rate(4) scale(4) frames(4) unused(4),
 *          then for each frame length(4) pts(8) data; little-endian.
 */
export function writeCoded(file: string, codec: VideoCodec, frames: readonly CodedVideo[]): void {
  if (codec === 'h264') {
    writeFileSync(file, Buffer.concat(frames.map(({ data }) => data)));
    return;
  }
  const header = Buffer.alloc(32);
  header.write('DKIF', 0, 'latin1');
  header.writeUInt16LE(32, 6);
  header.write('VP80', 8, 'latin1');
  // RFC 6386 §9.1: a keyframe tells its size after the start code.
  const first = frames.find(({ isKeyframe }) => isKeyframe)?.data ?? new Uint8Array(10);
  header.writeUInt16LE((first[6]! | (first[7]! << 8)) & 0x3fff, 12);
  header.writeUInt16LE((first[8]! | (first[9]! << 8)) & 0x3fff, 14);
  header.writeUInt32LE(90_000, 16);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(frames.length, 24);
  const parts: Uint8Array[] = [header];
  for (const { data, pts } of frames) {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(data.length, 0);
    head.writeBigUInt64LE(BigInt(pts), 4);
    parts.push(head, data);
  }
  writeFileSync(file, Buffer.concat(parts));
}
