import {
  AV_CODEC_FLAG_LOW_DELAY,
  AV_FRAME_FLAG_CORRUPT,
  AV_NOPTS_VALUE,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  FF_DECODER_H264,
  FF_DECODER_VP8,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { InferenceError } from '../errors.ts';
import { EvenI420 } from '../media/even-i420.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { holdsSlice } from './annex-b.ts';
import type { CodedVideo, VideoCodec } from './coded-media.ts';
import { openCodec } from './open-codec.ts';

/** FFmpeg's own decoders: what parses strangers' bytes is the best tested there is. */
const DECODERS = { vp8: FF_DECODER_VP8, h264: FF_DECODER_H264 } as const;
/** Larger pictures are refused before memory is taken for them: 4096 × 2304. */
const MAX_PIXELS = 4096 * 2304;
/** A decoder that gives more pictures than this for one frame is broken. */
const MAX_PICTURES_A_FRAME = 32;

/** What came of one coded frame. */
export interface Decoded {
  /** In the order shown; each is the caller's to close. Often one, none while pictures are put in order. */
  readonly pictures: VideoFrame[];
  /** Something did not decode: what follows can't be trusted until a keyframe. */
  readonly failed: boolean;
}

/**
 * Decodes a live stream at once, in this thread. Pictures come in the order shown: without B-frames each with its own
 * frame, and with them as late as the stream's own reordering says (`num_reorder_frames`, H.264 Annex E.2.1).
 * From damage on, every picture up to the next keyframe is marked broken: it is predicted from damage.
 */
export class LiveDecoder {
  readonly #context: CodecContext;
  readonly #input: VideoCodec;
  readonly #packet = new Packet();
  readonly #even = new EvenI420();
  #pictures = 0;
  /** Pictures shown before this are damaged, or are predicted from damage. */
  #soundFromPts = Number.NEGATIVE_INFINITY;

  private constructor(context: CodecContext, input: VideoCodec) {
    this.#context = context;
    this.#input = input;
    this.#packet.alloc();
  }

  /** @throws InferenceError 'decode-failed' */
  static open(input: VideoCodec): LiveDecoder {
    const codec = Codec.findDecoderByName(DECODERS[input]);
    if (!codec) throw new InferenceError('decode-failed', `this FFmpeg build has no ${input} decoder`);
    const context = new CodecContext();
    context.allocContext3(codec);
    context.pktTimebase = new Rational(1, 90_000);
    // Frame threads would hold frames back; slices are too few to share.
    context.threadCount = 1;
    context.setFlags(AV_CODEC_FLAG_LOW_DELAY);
    try {
      openCodec(context, codec, { max_pixels: String(MAX_PIXELS) }, 'decode-failed');
    } catch (error) {
      context.freeContext();
      throw error;
    }
    return new LiveDecoder(context, input);
  }

  /** Borrows the frame. */
  decode({ data, pts, isKeyframe }: CodedVideo): Decoded {
    // Nothing at all would tell FFmpeg that the stream has ended.
    if (data.byteLength === 0) {
      this.#distrust();
      return { pictures: [], failed: true };
    }
    if (isKeyframe && this.#soundFromPts === Number.POSITIVE_INFINITY) this.#soundFromPts = pts;
    const packet = this.#packet;
    packet.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    packet.pts = BigInt(pts);
    packet.isKeyframe = isKeyframe;
    const sent = this.#context.sendPacketSync(packet);
    packet.unref();
    const pictures: VideoFrame[] = [];
    // Parameter sets alone are taken in with an error that there was no picture.
    let failed = sent < 0 && (this.#input === 'vp8' || holdsSlice(data));
    if (failed) this.#distrust();
    while (pictures.length < MAX_PICTURES_A_FRAME) {
      const picture = new Frame();
      picture.alloc();
      const received = this.#context.receiveFrameSync(picture);
      if (received < 0) {
        picture.free();
        if (received !== AVERROR_EAGAIN && received !== AVERROR_EOF) {
          failed = true;
          this.#distrust();
        }
        break;
      }
      if (!this.#accept(picture, pictures)) failed = true;
    }
    return { pictures, failed };
  }

  /** Frames are missing before the next one, which is a keyframe. Pictures that were being put in order are lost. */
  reset(): void {
    this.#context.flushBuffers();
    this.#soundFromPts = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    this.#packet.free();
    this.#even.close();
    this.#context.freeContext();
  }

  /** @returns whether it is sound, or only damaged by what is known already */
  #accept(picture: Frame, into: VideoFrame[]): boolean {
    const isDamaged = picture.hasFlags(AV_FRAME_FLAG_CORRUPT) || picture.decodeErrorFlags !== 0;
    const { pts } = picture;
    if (pts === AV_NOPTS_VALUE) {
      picture.free();
      this.#distrust();
      return false;
    }
    picture.timeBase = this.#context.pktTimebase;
    const isBroken = isDamaged || Number(pts) < this.#soundFromPts;
    if (isDamaged) this.#distrust();
    try {
      into.push({ index: this.#pictures, picture: this.#even.convert(picture), broken: isBroken });
    } catch (error) {
      if (!(error instanceof InferenceError)) throw error;
      this.#distrust();
      return false;
    }
    this.#pictures++;
    return !isDamaged;
  }

  #distrust(): void {
    this.#soundFromPts = Number.POSITIVE_INFINITY;
  }
}
