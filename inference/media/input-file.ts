import { type FileHandle, open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  AV_CODEC_ID_NONE,
  AV_DISPOSITION_ATTACHED_PIC,
  AV_DISPOSITION_STILL_IMAGE,
  AV_NOPTS_VALUE,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVDISCARD_ALL,
  AVERROR_EOF,
  AVFMT_TS_DISCONT,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  Dictionary,
  FFmpegError,
  FormatContext,
  type Packet,
  type Stream,
} from 'node-av';
import { InferenceError } from '../errors.ts';
import { missingBytes } from './missing-bytes.ts';
import { BROADCAST_JUMPS, FILE_JUMPS, PacketClock } from './packet-clock.ts';

/** Containers that are opened at all. Playlists, concatenations, devices and image patterns reach other files: never. */
export const FORMATS = 'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,gif,ogg,mpeg,asf,h264,hevc';

/** More than any real file has; a file with more is an attack or broken. */
const MAX_STREAMS = 64;

/** A file that ends this much (and this part) before the length its header names was cut off. */
const TRUNCATION_TOLERANCE_SECONDS = 1;
const TRUNCATION_TOLERANCE = 0.01;

/** Containers whose header names a length; the others' is a guess from the bit rate. */
const NAMES_ITS_LENGTH = /^(mov|matroska|avi|flv|asf)/;

/** How much of a file there is. */
interface Extent {
  /** Bytes, when it was opened. */
  readonly size: number;
  /** Its container wrote its size down, and all of it is there; false where nothing in it tells. */
  readonly isWhole: boolean;
}

/** A video file opened for reading: one video stream, its audio streams, and nothing else of it. */
export class InputFile {
  readonly path: string;
  readonly video: Stream;
  readonly audio: readonly Stream[];
  readonly #format: FormatContext;
  readonly #extent: Extent;
  readonly #clock: PacketClock;
  #reachedSeconds = 0;
  #closing: Promise<void> | undefined;

  private constructor(path: string, format: FormatContext, extent: Extent, video: Stream, audio: readonly Stream[]) {
    this.path = path;
    this.#format = format;
    this.#extent = extent;
    this.video = video;
    this.audio = audio;
    const startsAnew = ((format.iformat?.flags ?? 0) & AVFMT_TS_DISCONT) !== 0;
    this.#clock = new PacketClock(startOf(video, audio), startsAnew ? BROADCAST_JUMPS : FILE_JUMPS);
  }

  /** @throws InferenceError 'input-missing' | 'input-unreadable' | 'input-empty' | 'input-not-video' | 'input-truncated' */
  static async open(path: string): Promise<InputFile> {
    const extent = await checkReadable(path);
    const format = new FormatContext();
    format.allocContext();
    format.maxStreams = MAX_STREAMS;
    using options = Dictionary.fromObject({ protocol_whitelist: 'file', format_whitelist: FORMATS });
    const opened = await format.openInput(`file:${resolve(path)}`, null, options);
    if (opened < 0) {
      throw new InferenceError('input-not-video', `${path} is not a video that can be read (${reason(opened)})`);
    }
    try {
      const probed = await format.findStreamInfo();
      if (probed < 0)
        throw new InferenceError('input-not-video', `${path} holds no readable stream (${reason(probed)})`);
      const video = chooseVideo(format);
      if (!video) throw new InferenceError('input-not-video', `${path} has no video stream`);
      const audio = format.streams.filter((stream) => isUsableAudio(stream));
      const wanted = new Set([video, ...audio].map(({ index }) => index));
      for (const stream of format.streams) {
        if (!wanted.has(stream.index)) stream.discard = AVDISCARD_ALL;
      }
      return new InputFile(path, format, extent, video, audio);
    } catch (error) {
      await format.closeInput();
      throw error;
    }
  }

  /** Seconds that the container's header names, or null. */
  get durationSeconds(): number | null {
    const { duration } = this.#format;
    return duration > 0n ? Number(duration) / 1e6 : null;
  }

  /** How many frames the video should have, or null when nothing says. */
  get expectedFrames(): number | null {
    if (this.video.nbFrames > 0n) return Number(this.video.nbFrames);
    const rate = this.video.avgFrameRate;
    const seconds = this.durationSeconds;
    return seconds && rate.num > 0 && rate.den > 0 ? Math.round((seconds * rate.num) / rate.den) : null;
  }

  /** Bits a second of the whole file, or null. */
  get bitRateBps(): number | null {
    return this.#format.bitRate > 0n ? Number(this.#format.bitRate) : null;
  }

  /** The container's tags, as they are. */
  get tags(): Record<string, string> {
    return this.#format.metadata?.getAll() ?? {};
  }

  /** The 3×3 matrix that turns the stored picture upright (16.16 fixed point, row by row), or null. */
  get displayMatrix(): Int32Array | null {
    const data = this.video.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX);
    return data && data.length >= 36 ? new Int32Array(Uint8Array.from(data.subarray(0, 36)).buffer) : null;
  }

  /**
   * Reads the next packet of a chosen stream into `packet`, its times counted from the start of the file.
   * @returns false at the end
   * @throws InferenceError 'input-truncated' when the file ends early, 'input-unreadable' when reading fails
   */
  async read(packet: Packet): Promise<boolean> {
    const read = await this.#format.readFrame(packet);
    if (read === AVERROR_EOF) {
      await this.#checkComplete();
      return false;
    }
    if (read < 0) {
      throw new InferenceError('input-truncated', `${this.path} is cut off or damaged (${reason(read)})`);
    }
    const base = packet.streamIndex === this.video.index ? this.video.timeBase : this.#timeBaseOf(packet.streamIndex);
    const end = Number(packet.pts + packet.duration) * (base.num / base.den);
    if (end > this.#reachedSeconds) this.#reachedSeconds = end;
    this.#clock.correct(packet, base);
    return true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#format.closeInput();
    return this.#closing;
  }

  #timeBaseOf(index: number): { num: number; den: number } {
    return this.audio.find((stream) => stream.index === index)?.timeBase ?? { num: 0, den: 1 };
  }

  async #checkComplete(): Promise<void> {
    const { size, isWhole } = this.#extent;
    const now = await stat(this.path).catch(() => null);
    // One that is gone from its folder can be read to its end all the same.
    if (now && now.size < size) {
      throw new InferenceError('input-truncated', `${this.path} became shorter while it was read`);
    }
    const expected = this.durationSeconds;
    if (isWhole || expected === null || !NAMES_ITS_LENGTH.test(this.#format.iformat?.name ?? '')) return;
    const end = expected + Math.max(0, Number(this.#format.startTime) / 1e6);
    if (this.#reachedSeconds + Math.max(TRUNCATION_TOLERANCE_SECONDS, expected * TRUNCATION_TOLERANCE) < end) {
      throw new InferenceError(
        'input-truncated',
        `${this.path} is cut off: it ends at ${this.#reachedSeconds.toFixed(1)} s of ${expected.toFixed(1)} s`,
      );
    }
  }
}

/** Seconds at which what is shown and heard begins. A little sound before 0 is the codec's own run-up. */
function startOf(video: Stream, audio: readonly Stream[]): number {
  const seconds = ({ startTime, timeBase }: Stream) => (Number(startTime) * timeBase.num) / timeBase.den;
  if (video.startTime !== AV_NOPTS_VALUE && video.startTime < 0n) return seconds(video);
  const starts = [video, ...audio].filter(({ startTime }) => startTime !== AV_NOPTS_VALUE).map(seconds);
  return starts.length === 0 ? 0 : Math.max(0, Math.min(...starts));
}

function reason(code: number): string {
  return FFmpegError.strerror(code);
}

/** @throws InferenceError where the file can't be read, or is cut off */
async function checkReadable(path: string): Promise<Extent> {
  let handle: FileHandle | undefined;
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new InferenceError('input-not-video', `${path} is not a file`);
    if (info.size === 0) throw new InferenceError('input-empty', `${path} is empty`);
    handle = await open(path, 'r');
    const missing = await missingBytes(handle, info.size);
    if (missing)
      throw new InferenceError('input-truncated', `${path} is cut off: ${missing} bytes are missing at its end`);
    return { size: info.size, isWhole: missing === 0 };
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (missing) throw new InferenceError('input-missing', `${path} does not exist`, { cause: error });
    throw new InferenceError('input-unreadable', `${path} can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await handle?.close();
  }
}

function chooseVideo(format: FormatContext): Stream | undefined {
  const usable = format.streams.filter(
    ({ codecpar, disposition }) =>
      codecpar.codecType === AVMEDIA_TYPE_VIDEO &&
      codecpar.codecId !== AV_CODEC_ID_NONE &&
      (disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_STILL_IMAGE)) === 0,
  );
  const best = format.findBestStream(AVMEDIA_TYPE_VIDEO);
  return usable.find((stream) => stream.index === best) ?? usable[0];
}

function isUsableAudio({ codecpar }: Stream): boolean {
  return codecpar.codecType === AVMEDIA_TYPE_AUDIO && codecpar.codecId !== AV_CODEC_ID_NONE && codecpar.sampleRate > 0;
}
