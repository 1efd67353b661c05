import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_AC3,
  AV_CODEC_ID_ALAC,
  AV_CODEC_ID_EAC3,
  AV_CODEC_ID_FLAC,
  AV_CODEC_ID_MP3,
  AV_CODEC_ID_OPUS,
  type AVCodecID,
  type Packet,
  type Stream,
} from 'node-av';
import { AudioTranscoder } from './audio-transcoder.ts';
import type { OutputFile } from './output-file.ts';

/** What MP4 holds as it is, and players play. */
const COPIED: ReadonlySet<AVCodecID> = new Set([
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_AC3,
  AV_CODEC_ID_ALAC,
  AV_CODEC_ID_EAC3,
  AV_CODEC_ID_FLAC,
  AV_CODEC_ID_MP3,
  AV_CODEC_ID_OPUS,
]);

/** One audio stream on its way into the output: copied where MP4 allows it, else encoded to AAC. */
export class AudioTrack {
  readonly #stream: Stream;
  readonly #output: OutputFile;
  readonly #track: number;
  readonly #transcoder: AudioTranscoder | null;

  private constructor(stream: Stream, output: OutputFile, track: number, transcoder: AudioTranscoder | null) {
    this.#stream = stream;
    this.#output = output;
    this.#track = track;
    this.#transcoder = transcoder;
  }

  /** Adds the track to an output whose header is not written yet. */
  static async open(stream: Stream, output: OutputFile): Promise<AudioTrack> {
    if (COPIED.has(stream.codecpar.codecId)) {
      return new AudioTrack(stream, output, output.addCopied(stream.codecpar, stream.timeBase), null);
    }
    const transcoder = await AudioTranscoder.open(stream);
    return new AudioTrack(stream, output, output.addEncoded(transcoder.context), transcoder);
  }

  /** Writes one packet of the stream, which it takes over. */
  async write(packet: Packet): Promise<void> {
    try {
      if (!this.#transcoder) {
        await this.#output.write(this.#track, packet, this.#stream.timeBase);
        return;
      }
      await this.#writeCoded(await this.#transcoder.transcode(packet));
    } finally {
      packet.free();
    }
  }

  /** Writes what the codecs still hold. */
  async flush(): Promise<void> {
    if (this.#transcoder) await this.#writeCoded(await this.#transcoder.transcode(null));
  }

  close(): void {
    this.#transcoder?.close();
  }

  async #writeCoded(packets: Packet[]): Promise<void> {
    for (const coded of packets) {
      await this.#output.write(this.#track, coded, this.#transcoder!.context.timeBase);
      coded.free();
    }
  }
}
