import {
  AVERROR_ENOSPC,
  type CodecContext,
  type CodecParameters,
  Dictionary,
  FFmpegError,
  FormatContext,
  type IRational,
  type Packet,
  type Stream,
} from 'node-av';
import { InferenceError } from '../errors.ts';

/** Writes one MP4: a video track, audio tracks, and no metadata. Packets of all tracks are interleaved by time. */
export class OutputFile {
  readonly #format: FormatContext;
  readonly #path: string;
  readonly #streams: Stream[] = [];
  #tail: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(format: FormatContext, path: string) {
    this.#format = format;
    this.#path = path;
  }

  /** @throws InferenceError 'output-unwritable' | 'no-space' */
  static async create(path: string): Promise<OutputFile> {
    const format = new FormatContext();
    check(format.allocOutputContext2(null, 'mp4', `file:${path}`), path);
    const output = new OutputFile(format, path);
    try {
      check(await format.openOutput(), path);
    } catch (error) {
      format.freeContext();
      throw error;
    }
    return output;
  }

  /** Adds the track of an encoder. @returns the track's index */
  addEncoded(context: CodecContext, frameRate?: IRational): number {
    const stream = this.#format.newStream(null);
    stream.codecpar.fromContext(context);
    stream.timeBase = context.timeBase;
    if (frameRate && frameRate.num > 0) stream.avgFrameRate = frameRate as Stream['avgFrameRate'];
    return this.#streams.push(stream) - 1;
  }

  /** Adds a track whose packets are copied from a source. @returns the track's index */
  addCopied(parameters: CodecParameters, timeBase: IRational): number {
    const stream = this.#format.newStream(null);
    parameters.copy(stream.codecpar);
    stream.codecpar.codecTag = 0;
    stream.timeBase = timeBase as Stream['timeBase'];
    return this.#streams.push(stream) - 1;
  }

  async writeHeader(): Promise<void> {
    // Bit-exact muxing leaves out the only tag that would be written, the muxer's own name.
    using options = Dictionary.fromObject({ movflags: '+faststart', fflags: '+bitexact' });
    check(await this.#format.writeHeader(options), this.#path);
  }

  /** Writes one packet, whose times are in `timeBase`, to a track; takes the packet's data over. */
  write(track: number, packet: Packet, timeBase: IRational): Promise<void> {
    // The muxer takes one packet at a time, whoever brings it.
    this.#tail = this.#tail.then(() => this.#write(track, packet, timeBase));
    return this.#tail;
  }

  async #write(track: number, packet: Packet, timeBase: IRational): Promise<void> {
    const stream = this.#streams[track];
    if (!stream) throw new InferenceError('closed', `the output has no track ${track}`);
    packet.streamIndex = stream.index;
    packet.rescaleTs(timeBase, stream.timeBase);
    check(await this.#format.interleavedWriteFrame(packet), this.#path);
  }

  /** Writes what is buffered and the index. The file is whole only after this. */
  async finish(): Promise<void> {
    check(await this.#format.writeTrailer(), this.#path);
    await this.close();
  }

  /** Closes the file; without `finish` before it, what was written can't be played. */
  close(): Promise<void> {
    this.#closing ??= this.#format.closeOutput().then(() => this.#format.freeContext());
    return this.#closing;
  }
}

function check(code: number, path: string): void {
  if (code >= 0) return;
  if (code === AVERROR_ENOSPC) throw new InferenceError('no-space', `no space left on the disk for ${path}`);
  throw new InferenceError('output-unwritable', `${path} can't be written (${FFmpegError.strerror(code)})`);
}
