import {
  AV_FRAME_FLAG_CORRUPT,
  AV_FRAME_FLAG_DISCARD,
  AV_FRAME_FLAG_KEY,
  AV_NOPTS_VALUE,
  AV_PICTURE_TYPE_B,
  AV_PKT_FLAG_CORRUPT,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  Dictionary,
  FFmpegError,
  Frame,
  type Packet,
  type Stream,
} from 'node-av';
import { InferenceError } from '../errors.ts';
import { uprightFilters } from './orientation.ts';
import { type Adaptation, type DecodedPicture, PictureConverter } from './picture-converter.ts';
import type { VideoFrame } from './video-frame.ts';

/** Larger pictures are refused before memory is taken for them: 8192 × 4608, above 8K. Of these a job takes 1.2 GB. */
export const MAX_PIXELS = 8192 * 4608;

/** Pictures that wait to hear whether the one they were made from as well is sound; encoders put no more in a row. */
const MAX_UNSURE = 8;

/** A decoder that keeps failing without asking for data will never end. */
const MAX_FAILURES_IN_A_ROW = 256;

/** Decodes one video stream to upright I420 pictures of one size, in the order shown. */
export class VideoDecoder {
  readonly #context: CodecContext;
  readonly #stream: Stream;
  readonly #converter: PictureConverter;
  /** Pictures made from the next one as well, in the order shown. */
  readonly #unsure: DecodedPicture[] = [];
  /** Something is missing or damaged that later pictures are made from, until one is made from nothing. */
  #isSpoiled = false;
  #frames = 0;
  #lastPts: bigint | undefined;

  private constructor(context: CodecContext, stream: Stream, turn: readonly string[]) {
    this.#context = context;
    this.#stream = stream;
    this.#converter = new PictureConverter(turn);
  }

  /**
   * @param matrix the container's display matrix, or null
   * @throws InferenceError 'input-not-video' when no decoder knows the stream
   */
  static async open(stream: Stream, matrix: Int32Array | null, threads: number): Promise<VideoDecoder> {
    const { codecpar } = stream;
    if (codecpar.width * codecpar.height > MAX_PIXELS) {
      throw new InferenceError(
        'input-not-video',
        `its pictures have ${codecpar.width}×${codecpar.height} pixels; more than 8K can't be processed`,
      );
    }
    const codec = Codec.findDecoder(codecpar.codecId);
    if (!codec) throw new InferenceError('input-not-video', 'no decoder for its video codec');
    const context = new CodecContext();
    context.allocContext3(codec);
    context.parametersToContext(codecpar);
    context.pktTimebase = stream.timeBase;
    context.threadCount = threads;
    // The stream itself may say something else than the container did.
    using limits = Dictionary.fromObject({ max_pixels: MAX_PIXELS });
    const opened = await context.open2(codec, limits);
    if (opened < 0) {
      context.freeContext();
      throw new InferenceError('input-not-video', `its video can't be decoded (${FFmpegError.strerror(opened)})`);
    }
    return new VideoDecoder(context, stream, uprightFilters(matrix));
  }

  /**
   * Hands in one packet (borrowed), or null to drain.
   * @returns the pictures that it completed; each is the caller's to close
   */
  async decode(packet: Packet | null): Promise<VideoFrame[]> {
    const frames: VideoFrame[] = [];
    if (packet?.hasFlags(AV_PKT_FLAG_CORRUPT)) this.#isSpoiled = true;
    let sent = await this.#context.sendPacket(packet);
    if (sent === AVERROR_EAGAIN) {
      await this.#receive(frames);
      sent = await this.#context.sendPacket(packet);
    }
    // A damaged packet is an expected outcome: it is dropped, and the pictures that miss it are marked.
    if (sent < 0 && sent !== AVERROR_EOF) {
      if (FFmpegError.fromCode(sent)?.isENOMEM) {
        throw new InferenceError('decode-failed', 'out of memory in the decoder');
      }
      this.#isSpoiled = true;
    }
    await this.#receive(frames);
    if (!packet) {
      await this.#settle(this.#isSpoiled, frames);
      this.#add(await this.#converter.flush(), frames);
    }
    return frames;
  }

  /** What had to be changed in the pictures so far. */
  get adaptations(): ReadonlySet<Adaptation> {
    return this.#converter.adaptations;
  }

  close(): void {
    for (const { picture } of this.#unsure.splice(0)) picture.free();
    this.#converter.close();
    this.#context.freeContext();
  }

  async #receive(into: VideoFrame[]): Promise<void> {
    let failures = 0;
    while (failures < MAX_FAILURES_IN_A_ROW) {
      const picture = new Frame();
      picture.alloc();
      const received = await this.#context.receiveFrame(picture);
      if (received < 0) {
        picture.free();
        if (received === AVERROR_EAGAIN || received === AVERROR_EOF) return;
        this.#isSpoiled = true;
        failures++;
        continue;
      }
      if (picture.hasFlags(AV_FRAME_FLAG_DISCARD)) {
        picture.free();
        continue;
      }
      const wasSpoiled = this.#isSpoiled;
      const isDamaged = picture.hasFlags(AV_FRAME_FLAG_CORRUPT) || picture.decodeErrorFlags !== 0;
      if (isDamaged) this.#isSpoiled = true;
      else if (picture.hasFlags(AV_FRAME_FLAG_KEY)) this.#isSpoiled = false;
      const broken = this.#isSpoiled;
      picture.pts = this.#nextPts(picture);
      picture.timeBase = this.#stream.timeBase;
      // What the container says of the shape of pixels goes before what the pictures say.
      const { sampleAspectRatio: shape } = this.#stream;
      if (shape.num > 0 && shape.den > 0) picture.sampleAspectRatio = shape;
      failures = 0;
      if (picture.pictType === AV_PICTURE_TYPE_B && this.#unsure.length < MAX_UNSURE) {
        this.#unsure.push({ picture, broken });
        continue;
      }
      await this.#settle(wasSpoiled || broken, into);
      this.#add(await this.#converter.convert({ picture, broken }), into);
    }
    throw new InferenceError('decode-failed', 'the decoder fails without end on this file');
  }

  /** Lets go of pictures that were made from the next one too, once that is known to be damaged or not. */
  async #settle(isNextBroken: boolean, into: VideoFrame[]): Promise<void> {
    for (let unsure = this.#unsure.shift(); unsure; unsure = this.#unsure.shift()) {
      const broken = unsure.broken || isNextBroken;
      this.#add(await this.#converter.convert({ picture: unsure.picture, broken }), into);
    }
  }

  /** The picture's time; always later than the one before, whatever the file says. */
  #nextPts(picture: Frame): bigint {
    const said = picture.bestEffortTimestamp;
    const last = this.#lastPts;
    let pts = said === AV_NOPTS_VALUE ? (last === undefined ? 0n : last + this.#frameTicks()) : said;
    if (last !== undefined && pts <= last) pts = last + 1n;
    this.#lastPts = pts;
    return pts;
  }

  #frameTicks(): bigint {
    const { avgFrameRate: rate, timeBase: base } = this.#stream;
    if (rate.num <= 0 || rate.den <= 0) return 1n;
    return BigInt(Math.max(1, Math.round((rate.den * base.den) / (rate.num * base.num))));
  }

  #add(pictures: readonly DecodedPicture[], to: VideoFrame[]): void {
    for (const { picture, broken } of pictures) {
      picture.timeBase = this.#stream.timeBase;
      to.push({ index: this.#frames++, picture, broken });
    }
  }
}
