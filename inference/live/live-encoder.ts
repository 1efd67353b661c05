import {
  AV_FRAME_FLAG_KEY,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  Codec,
  CodecContext,
  FF_ENCODER_LIBVPX_VP8,
  FF_ENCODER_LIBX264,
  FFmpegError,
  type Frame,
  Packet,
  Rational,
} from 'node-av';
import type { Redacted } from '../blur/redacted.ts';
import { InferenceError } from '../errors.ts';
import { closeFrame, type VideoFrame } from '../media/video-frame.ts';
import type { CodedVideo, VideoCodec } from './coded-media.ts';
import { openCodec } from './open-codec.ts';

export interface LiveEncoderOptions {
  readonly output: VideoCodec;
  readonly bitrateBps: number;
  /** Longest time between keyframes, or null for only where one is asked for. */
  readonly keyframeIntervalMs: number | null;
}

const TICKS_A_SECOND = 90_000;
/** x264 without delay takes every picture to last this long; the bit rate is corrected for what they really last. */
const NOMINAL_FPS = 30;
/** Gaps longer than this say nothing of the frame rate. */
const MAX_FRAME_TICKS = TICKS_A_SECOND / 2;
/** How much the newest frame says of the frame rate. */
const RATE_WEIGHT = 0.05;
/** The rate is set anew where it is off by more: each time costs x264 little and its rate control some memory. */
const RATE_TOLERANCE = 0.1;
/** libvpx (through FFmpeg) learns of a new rate only by opening it anew, with a keyframe. */
const REOPEN_TOLERANCE = 0.2;
/** What a receiver must buffer at most, in time at the bit rate: bounds a keyframe, too. */
const BUFFER_SECONDS = 0.6;
const MIN_BITRATE_BPS = 50_000;
const MAX_BITRATE_BPS = 50_000_000;
/** Keyframes come by time or on request, never by count. */
const NO_KEYFRAME_BY_COUNT = 1 << 20;
/** A picture whose time lies further back than this starts a new timeline. */
const NEW_TIMELINE_TICKS = TICKS_A_SECOND;
/** A VP8 keyframe may take this many percent of a frame's share of the bit rate. */
const MAX_INTRA_PERCENT = 900;

/**
 * One packet for each picture, at once, in this thread. x264: constrained baseline, SPS and PPS before each IDR
 * picture. Captions and user data stay out: they may name or quote the people in the picture.
 */
const SETTINGS = {
  h264: {
    name: FF_ENCODER_LIBX264,
    options: {
      preset: 'ultrafast',
      tune: 'zerolatency',
      profile: 'baseline',
      'forced-idr': '1',
      a53cc: '0',
      udu_sei: '0',
    },
  },
  vp8: {
    name: FF_ENCODER_LIBVPX_VP8,
    options: {
      deadline: 'realtime',
      'cpu-used': '-12',
      'lag-in-frames': '0',
      'max-intra-rate': String(MAX_INTRA_PERCENT),
      'static-thresh': '1',
    },
  },
} as const;

/** Encodes redacted pictures, and only those. Opens FFmpeg's encoder anew where the size of the pictures changes. */
export class LiveEncoder {
  readonly #options: LiveEncoderOptions;
  readonly #packet = new Packet();
  #context: CodecContext | undefined;
  #bitrateBps: number;
  /** What the open encoder was told last. */
  #toldBps = 0;
  #frameTicks = TICKS_A_SECOND / NOMINAL_FPS;
  #wantsKeyframe = false;
  #lastPts: number | undefined;
  #lastKeyframePts = 0;

  constructor(options: LiveEncoderOptions) {
    this.#options = options;
    this.#bitrateBps = clampRate(options.bitrateBps);
    this.#packet.alloc();
  }

  /**
   * Takes a picture over.
   * @returns null for a picture that is not later than the one before: it has no place in what leaves
   * @throws InferenceError 'encode-failed'; the next picture is tried on a new encoder
   */
  encode(frame: Redacted<VideoFrame>): CodedVideo | null {
    try {
      const pts = Number(frame.picture.pts);
      if (!this.#follows(pts)) return null;
      const context = this.#contextFor(frame.picture);
      const isKeyframe = this.#isKeyframeDue(pts);
      frame.picture.pictType = isKeyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
      // The source's own choice of keyframes must not bind the encoder.
      frame.picture.clearFlags(AV_FRAME_FLAG_KEY);
      frame.picture.duration = BigInt(Math.round(this.#frameTicks));
      const coded = this.#run(context, frame.picture, pts);
      this.#lastPts = pts;
      if (coded.isKeyframe) {
        this.#lastKeyframePts = pts;
        this.#wantsKeyframe = false;
      }
      return coded;
    } catch (error) {
      this.reset();
      throw error;
    } finally {
      closeFrame(frame);
    }
  }

  /** The next picture that is encoded is a keyframe. */
  requestKeyframe(): void {
    this.#wantsKeyframe = true;
  }

  setBitrate(bitrateBps: number): void {
    this.#bitrateBps = clampRate(bitrateBps);
  }

  /** Forgets the encoder; the next picture opens one, and so is a keyframe. */
  reset(): void {
    this.#context?.freeContext();
    this.#context = undefined;
  }

  close(): void {
    this.reset();
    this.#packet.free();
  }

  /** Measures the frame rate by the way. */
  #follows(pts: number): boolean {
    const last = this.#lastPts;
    if (last === undefined) return true;
    const ticks = pts - last;
    if (ticks <= -NEW_TIMELINE_TICKS) {
      this.reset();
      return true;
    }
    if (ticks <= 0) return false;
    if (ticks <= MAX_FRAME_TICKS) this.#frameTicks += RATE_WEIGHT * (ticks - this.#frameTicks);
    return true;
  }

  #isKeyframeDue(pts: number): boolean {
    const { keyframeIntervalMs } = this.#options;
    if (this.#wantsKeyframe) return true;
    // Half a frame early rather than a whole one late: segments are cut here.
    const ticks = pts - this.#lastKeyframePts + this.#frameTicks / 2;
    return keyframeIntervalMs !== null && ticks * 1000 >= keyframeIntervalMs * TICKS_A_SECOND;
  }

  #contextFor(picture: Frame): CodecContext {
    const isVp8 = this.#options.output === 'vp8';
    const bitrateBps = Math.round(
      isVp8 ? this.#bitrateBps : clampRate((this.#bitrateBps * NOMINAL_FPS * this.#frameTicks) / TICKS_A_SECOND),
    );
    const isOff = Math.abs(bitrateBps / this.#toldBps - 1) > (isVp8 ? REOPEN_TOLERANCE : RATE_TOLERANCE);
    const known = this.#context;
    if (known?.width === picture.width && known.height === picture.height && !(isVp8 && isOff)) {
      if (isOff) this.#tellRate(known, bitrateBps);
      return known;
    }
    this.reset();
    this.#context = this.#open(picture, bitrateBps);
    return this.#context;
  }

  #open(picture: Frame, bitrateBps: number): CodecContext {
    const { name, options } = SETTINGS[this.#options.output];
    const codec = Codec.findEncoderByName(name);
    if (!codec) throw new InferenceError('encode-failed', `this FFmpeg build has no ${name}`);
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
    context.timeBase = new Rational(1, TICKS_A_SECOND);
    context.framerate = new Rational(NOMINAL_FPS, 1);
    context.threadCount = 1;
    context.maxBFrames = 0;
    context.gopSize = NO_KEYFRAME_BY_COUNT;
    this.#tellRate(context, bitrateBps);
    try {
      openCodec(context, codec, options, 'encode-failed');
    } catch (error) {
      context.freeContext();
      throw error;
    }
    return context;
  }

  #tellRate(context: CodecContext, bitrateBps: number): void {
    context.bitRate = BigInt(bitrateBps);
    context.rcMaxRate = BigInt(bitrateBps);
    context.rcBufferSize = Math.round(bitrateBps * BUFFER_SECONDS);
    this.#toldBps = bitrateBps;
  }

  #run(context: CodecContext, picture: Frame, pts: number): CodedVideo {
    const sent = context.sendFrameSync(picture);
    if (sent < 0) throw new InferenceError('encode-failed', `the encoder failed (${FFmpegError.strerror(sent)})`);
    const packet = this.#packet;
    const received = context.receivePacketSync(packet);
    if (received < 0) {
      throw new InferenceError('encode-failed', `the encoder held a picture (${FFmpegError.strerror(received)})`);
    }
    try {
      const { data, isKeyframe } = packet;
      if (!data || Number(packet.pts) !== pts) {
        throw new InferenceError('encode-failed', 'the encoder gave another picture than it was given');
      }
      // A copy: the packet's memory goes back to FFmpeg.
      return { data: new Uint8Array(data), pts, isKeyframe };
    } finally {
      packet.unref();
    }
  }
}

function clampRate(bitrateBps: number): number {
  return Math.min(MAX_BITRATE_BPS, Math.max(MIN_BITRATE_BPS, bitrateBps || MIN_BITRATE_BPS));
}
