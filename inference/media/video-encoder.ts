import {
  AV_CODEC_FLAG_FRAME_DURATION,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_FRAME_FLAG_KEY,
  AV_PICTURE_TYPE_NONE,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  Dictionary,
  FF_ENCODER_LIBX264,
  FFmpegError,
  type IRational,
  Packet,
  Rational,
} from 'node-av';
import type { Redacted } from '../blur/redacted.ts';
import { InferenceError } from '../errors.ts';
import { closeFrame, type VideoFrame } from './video-frame.ts';

export interface VideoEncoderOptions {
  /** Ticks of the pictures' timestamps. */
  readonly timeBase: IRational;
  /** Nominal frames a second, or 0/1 when the source has none. */
  readonly frameRate: IRational;
  readonly threads: number;
  /** x264's speed for size, e.g. 'ultrafast'. */
  readonly preset: string;
  /** x264 options over the preset's, as `name=value:name=value`. */
  readonly tuning: string;
  /** x264's constant rate factor, 0..51; lower is better and larger. */
  readonly crf: number;
  /** Upper bound of the bit rate, or null for none. */
  readonly maxBitrateBps: number | null;
}

/** Seconds between keyframes at most: a player seeks to these. */
const KEYFRAME_INTERVAL_SECONDS = 4;

/** The bit rate may run above its bound for so long: a cut needs it. */
const BUFFER_SECONDS = 1.5;

/** Encodes redacted pictures, and only those, to H.264. */
export class VideoEncoder {
  readonly context: CodecContext;

  private constructor(context: CodecContext) {
    this.context = context;
  }

  /**
   * @param like a picture (borrowed) whose size, format and colour the encoded ones share
   * @throws InferenceError 'encode-failed'
   */
  static async open(like: VideoFrame, options: VideoEncoderOptions): Promise<VideoEncoder> {
    const codec = Codec.findEncoderByName(FF_ENCODER_LIBX264);
    if (!codec) throw new InferenceError('encode-failed', 'this FFmpeg build has no libx264');
    const { picture } = like;
    const context = new CodecContext();
    context.allocContext3(codec);
    context.width = picture.width;
    context.height = picture.height;
    context.pixelFormat = picture.format as CodecContext['pixelFormat'];
    context.sampleAspectRatio = picture.sampleAspectRatio;
    context.colorRange = picture.colorRange;
    context.colorSpace = picture.colorSpace;
    context.colorPrimaries = picture.colorPrimaries;
    context.colorTrc = picture.colorTrc;
    context.chromaLocation = picture.chromaLocation;
    context.timeBase = new Rational(options.timeBase.num, options.timeBase.den);
    if (options.frameRate.num > 0) context.framerate = new Rational(options.frameRate.num, options.frameRate.den);
    context.threadCount = options.threads;
    const fps = options.frameRate.num > 0 ? options.frameRate.num / options.frameRate.den : 30;
    context.gopSize = Math.max(1, Math.round(Math.min(fps, 240) * KEYFRAME_INTERVAL_SECONDS));
    context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER, AV_CODEC_FLAG_FRAME_DURATION);
    if (options.maxBitrateBps) {
      context.rcMaxRate = BigInt(Math.round(options.maxBitrateBps));
      context.rcBufferSize = Math.min(Math.round(options.maxBitrateBps * BUFFER_SECONDS), 0x7fffffff);
    }
    // Captions and user data ride in the decoder's side data; they may name or quote the people in the picture.
    using settings = Dictionary.fromObject({
      preset: options.preset,
      crf: options.crf,
      'x264-params': options.tuning,
      a53cc: 0,
      udu_sei: 0,
    });
    const opened = await context.open2(codec, settings);
    if (opened < 0) {
      context.freeContext();
      throw new InferenceError('encode-failed', `the H.264 encoder did not open (${FFmpegError.strerror(opened)})`);
    }
    return new VideoEncoder(context);
  }

  /**
   * Hands in one picture, which it takes over, or null to drain.
   * @returns the coded packets that are ready; each is the caller's to free
   * @throws InferenceError 'encode-failed'
   */
  async encode(frame: Redacted<VideoFrame> | null): Promise<Packet[]> {
    const packets: Packet[] = [];
    if (frame) {
      // The source's own choice of keyframes must not bind the encoder.
      frame.picture.pictType = AV_PICTURE_TYPE_NONE;
      frame.picture.clearFlags(AV_FRAME_FLAG_KEY);
    }
    try {
      let sent = await this.context.sendFrame(frame?.picture ?? null);
      if (sent === AVERROR_EAGAIN) {
        await this.#receive(packets);
        sent = await this.context.sendFrame(frame?.picture ?? null);
      }
      if (sent < 0) throw new InferenceError('encode-failed', `the encoder failed (${FFmpegError.strerror(sent)})`);
      await this.#receive(packets);
    } catch (error) {
      for (const packet of packets) packet.free();
      throw error;
    } finally {
      if (frame) closeFrame(frame);
    }
    return packets;
  }

  close(): void {
    this.context.freeContext();
  }

  async #receive(into: Packet[]): Promise<void> {
    for (;;) {
      const packet = new Packet();
      packet.alloc();
      const received = await this.context.receivePacket(packet);
      if (received >= 0) {
        into.push(packet);
        continue;
      }
      packet.free();
      if (received === AVERROR_EAGAIN || received === AVERROR_EOF) return;
      throw new InferenceError('encode-failed', `the encoder failed (${FFmpegError.strerror(received)})`);
    }
  }
}
