import {
  AV_CODEC_FLAG_FRAME_DURATION,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_FRAME_FLAG_KEY,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUVJ420P,
  AVCOL_RANGE_JPEG,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  Dictionary,
  FF_ENCODER_LIBSVTAV1,
  FF_ENCODER_LIBVPX_VP9,
  FF_ENCODER_LIBX264,
  FFmpegError,
  type IRational,
  Packet,
  Rational,
} from 'node-av';
import type { Redacted } from '../blur/redacted.ts';
import { InferenceError } from '../errors.ts';
import type { VideoCodec } from './output-kind.ts';
import { closeFrame, type VideoFrame } from './video-frame.ts';

export interface VideoEncoderOptions {
  /** Default H.264. */
  readonly codec?: VideoCodec;
  /** Ticks of the pictures' timestamps. */
  readonly timeBase: IRational;
  /** Nominal frames a second, or 0/1 when the source has none. */
  readonly frameRate: IRational;
  readonly threads: number;
  /** Speed for size: x264's preset, e.g. 'ultrafast', libvpx's `cpu-used`, SVT-AV1's preset. */
  readonly preset: string;
  /** The encoder's own options over the preset's, as `name=value:name=value`. */
  readonly tuning: string;
  /** Constant rate factor, 0..51 in H.264 and 0..63 in VP9 and AV1; lower is better and larger. */
  readonly crf: number;
  /** Upper bound of the bit rate, or null for none. */
  readonly maxBitrateBps: number | null;
}

/** Seconds between keyframes at most: a player seeks to these. */
const KEYFRAME_INTERVAL_SECONDS = 4;

/** The bit rate may run above its bound for so long: a cut needs it. */
const BUFFER_SECONDS = 1.5;

const ENCODERS = { h264: FF_ENCODER_LIBX264, vp9: FF_ENCODER_LIBVPX_VP9, av1: FF_ENCODER_LIBSVTAV1 } as const;

/** Assumed where the source names no rate that can be, for the encoders that plan by it. */
const DEFAULT_FPS = 30;
const MAX_FPS = 240;

/** Encodes redacted pictures, and only those. */
export class VideoEncoder {
  readonly context: CodecContext;
  /** How long each picture inside is shown, by its time: not every encoder hands it on. */
  readonly #durations = new Map<bigint, bigint>();

  private constructor(context: CodecContext) {
    this.context = context;
  }

  /**
   * @param like a picture (borrowed) whose size, format and colour the encoded ones share
   * @throws InferenceError 'encode-failed'
   */
  static async open(like: VideoFrame, options: VideoEncoderOptions): Promise<VideoEncoder> {
    const { codec: codecName = 'h264' } = options;
    const codec = Codec.findEncoderByName(ENCODERS[codecName]);
    if (!codec) throw new InferenceError('encode-failed', `this FFmpeg build has no ${ENCODERS[codecName]}`);
    const { picture } = like;
    const context = new CodecContext();
    context.allocContext3(codec);
    context.width = picture.width;
    context.height = picture.height;
    context.pixelFormat = AV_PIX_FMT_YUV420P;
    context.sampleAspectRatio = picture.sampleAspectRatio;
    context.colorRange = picture.format === AV_PIX_FMT_YUVJ420P ? AVCOL_RANGE_JPEG : picture.colorRange;
    context.colorSpace = picture.colorSpace;
    context.colorPrimaries = picture.colorPrimaries;
    context.colorTrc = picture.colorTrc;
    context.chromaLocation = picture.chromaLocation;
    context.timeBase = new Rational(options.timeBase.num, options.timeBase.den);
    const named = options.frameRate.num > 0 ? options.frameRate.num / options.frameRate.den : 0;
    const fps = named > 0 && named <= MAX_FPS ? named : DEFAULT_FPS;
    if (fps === named) context.framerate = new Rational(options.frameRate.num, options.frameRate.den);
    else if (codecName === 'av1') context.framerate = new Rational(DEFAULT_FPS, 1);
    context.threadCount = options.threads;
    context.gopSize = Math.max(1, Math.round(fps * KEYFRAME_INTERVAL_SECONDS));
    context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER, AV_CODEC_FLAG_FRAME_DURATION);
    if (options.maxBitrateBps) boundRate(context, codecName, Math.round(options.maxBitrateBps));
    using settings = Dictionary.fromObject(settingsOf(codecName, options));
    const opened = await context.open2(codec, settings);
    if (opened < 0) {
      context.freeContext();
      throw new InferenceError(
        'encode-failed',
        `the encoder ${ENCODERS[codecName]} did not open (${FFmpegError.strerror(opened)})`,
      );
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
      const { picture } = frame;
      // The source's own choice of keyframes must not bind the encoder.
      picture.pictType = AV_PICTURE_TYPE_NONE;
      picture.clearFlags(AV_FRAME_FLAG_KEY);
      this.#durations.set(picture.pts, picture.duration);
    }
    // The older name of full range; the picture may go back to a pool, so under its own name.
    const isOldFull = frame?.picture.format === AV_PIX_FMT_YUVJ420P;
    try {
      if (isOldFull) Object.assign(frame.picture, { format: AV_PIX_FMT_YUV420P, colorRange: AVCOL_RANGE_JPEG });
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
      if (isOldFull) frame.picture.format = AV_PIX_FMT_YUVJ420P;
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
        const { pts } = packet;
        const duration = this.#durations.get(pts);
        if (duration !== undefined && packet.duration <= 0n) packet.duration = duration;
        this.#durations.delete(pts);
        into.push(packet);
        continue;
      }
      packet.free();
      if (received === AVERROR_EAGAIN || received === AVERROR_EOF) return;
      throw new InferenceError('encode-failed', `the encoder failed (${FFmpegError.strerror(received)})`);
    }
  }
}

/** x264 keeps below a bound by its buffer; libvpx and SVT-AV1, which have none for constant quality, by an average. */
function boundRate(context: CodecContext, codec: VideoCodec, bitrateBps: number): void {
  if (codec === 'vp9') context.bitRate = BigInt(bitrateBps);
  else context.rcMaxRate = BigInt(bitrateBps);
  context.rcBufferSize = Math.min(Math.round(bitrateBps * BUFFER_SECONDS), 0x7fffffff);
}

function settingsOf(codec: VideoCodec, { preset, tuning, crf }: VideoEncoderOptions): Record<string, string | number> {
  switch (codec) {
    case 'h264':
      // Captions and user data ride in the decoder's side data; they may name or quote the people in the picture.
      return { preset, crf, 'x264-params': tuning, a53cc: 0, udu_sei: 0 };
    case 'av1':
      return { preset, crf, 'svtav1-params': tuning };
    case 'vp9': {
      const own = tuning.split(':').map((pair) => pair.split('=') as [string, string]);
      return { deadline: 'realtime', 'cpu-used': preset, crf, ...Object.fromEntries(own) };
    }
  }
}
