import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_AC3,
  AV_CODEC_ID_ALAC,
  AV_CODEC_ID_EAC3,
  AV_CODEC_ID_FLAC,
  AV_CODEC_ID_MP3,
  AV_CODEC_ID_OPUS,
  AV_CODEC_ID_PCM_S16LE,
  AV_CODEC_ID_PCM_S24LE,
  AV_CODEC_ID_VORBIS,
  AV_PKT_FLAG_DISCARD,
  type AVCodecID,
  type Packet,
  type Stream,
} from 'node-av';
import { AudioTranscoder } from './audio-transcoder.ts';
import { languageTag } from './descriptive-tags.ts';
import type { OutputFile } from './output-file.ts';
import type { Container } from './output-kind.ts';

const ISO_AND_MATROSKA = [AV_CODEC_ID_AAC, AV_CODEC_ID_AC3, AV_CODEC_ID_ALAC, AV_CODEC_ID_EAC3, AV_CODEC_ID_MP3];

/** What each container holds as it is, and players play in it. */
const COPIED: Readonly<Record<Container, ReadonlySet<AVCodecID>>> = {
  mp4: new Set([...ISO_AND_MATROSKA, AV_CODEC_ID_FLAC, AV_CODEC_ID_OPUS]),
  mov: new Set([...ISO_AND_MATROSKA, AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_PCM_S24LE]),
  matroska: new Set([
    ...ISO_AND_MATROSKA,
    AV_CODEC_ID_FLAC,
    AV_CODEC_ID_OPUS,
    AV_CODEC_ID_VORBIS,
    AV_CODEC_ID_PCM_S16LE,
    AV_CODEC_ID_PCM_S24LE,
  ]),
  webm: new Set([AV_CODEC_ID_OPUS, AV_CODEC_ID_VORBIS]),
};

/** One audio stream on its way into the output: copied where the container allows it, else encoded to AAC or Opus. */
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

  /**
   * Adds the track to an output whose header is not written yet.
   * @param keepLanguage whether it says which language it is in
   * @throws InferenceError 'input-not-video' when it would have to be decoded and can't, 'encode-failed'
   */
  static async open(stream: Stream, output: OutputFile, keepLanguage: boolean): Promise<AudioTrack> {
    const { container } = output;
    const tags = keepLanguage ? languageTag(stream.metadata?.getAll() ?? {}) : {};
    if (COPIED[container].has(stream.codecpar.codecId)) {
      return new AudioTrack(stream, output, output.addCopied(stream.codecpar, stream.timeBase, tags), null);
    }
    const codec = container === 'webm' ? 'opus' : 'aac';
    const transcoder = await AudioTranscoder.open(stream, { codec, surround: true });
    return new AudioTrack(stream, output, output.addEncoded(transcoder.context, undefined, tags), transcoder);
  }

  /** Writes one packet of the stream, which it takes over. */
  async write(packet: Packet): Promise<void> {
    try {
      if (!this.#transcoder) {
        // What an edit list cuts out under way; before the start it is what the decoder runs up on.
        if (packet.hasFlags(AV_PKT_FLAG_DISCARD) && packet.pts >= 0n) return;
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
