import {
  AV_NOPTS_VALUE,
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
import type { Container } from './output-kind.ts';

type Tags = Readonly<Record<string, string>>;

interface Track {
  readonly stream: Stream;
  /** Decoding time of the last packet, in the stream's ticks, and where it ended. */
  last: bigint | undefined;
  end: bigint;
}

/** Writes one file: a video track, audio tracks, and no metadata but what is given. Packets are interleaved by time. */
export class OutputFile {
  readonly container: Container;
  readonly #format: FormatContext;
  readonly #path: string;
  readonly #tracks: Track[] = [];
  #tail: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(format: FormatContext, container: Container, path: string) {
    this.#format = format;
    this.container = container;
    this.#path = path;
  }

  /** @throws InferenceError 'output-unwritable' | 'no-space' */
  static async create(path: string, container: Container, tags: Tags = {}): Promise<OutputFile> {
    const format = new FormatContext();
    check(format.allocOutputContext2(null, container, `file:${path}`), path);
    const output = new OutputFile(format, container, path);
    try {
      using metadata = Dictionary.fromObject(tags);
      if (metadata.count() > 0) format.metadata = metadata;
      check(await format.openOutput(), path);
    } catch (error) {
      format.freeContext();
      throw error;
    }
    return output;
  }

  /** Adds the track of an encoder. @returns the track's index */
  addEncoded(context: CodecContext, frameRate?: IRational, tags: Tags = {}): number {
    const stream = this.#format.newStream(null);
    stream.codecpar.fromContext(context);
    stream.timeBase = context.timeBase;
    stream.sampleAspectRatio = context.sampleAspectRatio;
    if (frameRate && frameRate.num > 0) stream.avgFrameRate = frameRate as Stream['avgFrameRate'];
    return this.#add(stream, tags);
  }

  /** Adds a track whose packets are copied from a source. @returns the track's index */
  addCopied(parameters: CodecParameters, timeBase: IRational, tags: Tags = {}): number {
    const stream = this.#format.newStream(null);
    parameters.copy(stream.codecpar);
    stream.codecpar.codecTag = 0;
    stream.timeBase = timeBase as Stream['timeBase'];
    return this.#add(stream, tags);
  }

  async writeHeader(): Promise<void> {
    const isIso = this.container === 'mp4' || this.container === 'mov';
    // Bit-exact muxing leaves out the only tag that would be written, the muxer's own name.
    using options = Dictionary.fromObject({ ...(isIso && { movflags: '+faststart' }), fflags: '+bitexact' });
    check(await this.#format.writeHeader(options), this.#path);
  }

  /** Writes one packet, whose times are in `timeBase`, to a track; takes the packet's data over. */
  write(track: number, packet: Packet, timeBase: IRational): Promise<void> {
    // The muxer takes one packet at a time, whoever brings it.
    this.#tail = this.#tail.then(() => this.#write(track, packet, timeBase));
    return this.#tail;
  }

  async #write(index: number, packet: Packet, timeBase: IRational): Promise<void> {
    const track = this.#tracks[index];
    if (!track) throw new InferenceError('closed', `the output has no track ${index}`);
    packet.streamIndex = track.stream.index;
    packet.rescaleTs(timeBase, track.stream.timeBase);
    goForward(packet, track);
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

  #add(stream: Stream, tags: Tags): number {
    using metadata = Dictionary.fromObject(tags);
    if (metadata.count() > 0) stream.metadata = metadata;
    return this.#tracks.push({ stream, last: undefined, end: 0n }) - 1;
  }
}

/** Muxers refuse a packet without a time, or one that goes back; a source may hold both. */
function goForward(packet: Packet, track: Track): void {
  if (packet.dts === AV_NOPTS_VALUE) packet.dts = packet.pts === AV_NOPTS_VALUE ? track.end : packet.pts;
  if (packet.pts === AV_NOPTS_VALUE) packet.pts = packet.dts;
  if (track.last !== undefined && packet.dts <= track.last) packet.dts = track.last + 1n;
  if (packet.pts < packet.dts) packet.pts = packet.dts;
  track.last = packet.dts;
  track.end = packet.dts + (packet.duration > 0n ? packet.duration : 1n);
}

function check(code: number, path: string): void {
  if (code >= 0) return;
  if (code === AVERROR_ENOSPC) throw new InferenceError('no-space', `no space left on the disk for ${path}`);
  throw new InferenceError('output-unwritable', `${path} can't be written (${FFmpegError.strerror(code)})`);
}
