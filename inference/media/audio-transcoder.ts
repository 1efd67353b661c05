import {
  AV_CHANNEL_LAYOUT_MONO,
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_SAMPLE_FMT_FLTP,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  FF_ENCODER_AAC,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
  type Stream,
} from 'node-av';
import { InferenceError } from '../errors.ts';

const SAMPLES_A_FRAME = 1024;
const BITRATE_BPS_A_CHANNEL = 80_000n;
/** AAC in MP4 plays everywhere at these; other rates are resampled to the last. */
const SAMPLE_RATES: readonly number[] = [32_000, 44_100, 48_000];

/** Decodes one audio stream and encodes it to AAC, keeping its times. */
export class AudioTranscoder {
  readonly context: CodecContext;
  readonly #decoder: CodecContext;
  readonly #resampler: FilterAPI;
  readonly #stream: Stream;
  readonly #decoded = new Frame();
  #nextPts: bigint | undefined;

  private constructor(stream: Stream, decoder: CodecContext, encoder: CodecContext) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.context = encoder;
    this.#decoded.alloc();
    const { sampleRate, channels } = encoder;
    const layout = channels === 1 ? 'mono' : 'stereo';
    // Gaps in the source stay gaps in time: silence fills them.
    this.#resampler = FilterAPI.create(
      `aresample=${sampleRate}:async=1,aformat=sample_fmts=fltp:sample_rates=${sampleRate}:channel_layouts=${layout},` +
        `asetnsamples=n=${SAMPLES_A_FRAME}:p=0`,
      {},
    );
  }

  /** @throws InferenceError 'input-not-video' when the audio can't be decoded, 'encode-failed' */
  static async open(stream: Stream): Promise<AudioTranscoder> {
    const codec = Codec.findDecoder(stream.codecpar.codecId);
    const aac = Codec.findEncoderByName(FF_ENCODER_AAC);
    if (!codec || !aac) throw new InferenceError('input-not-video', 'its audio codec is not known');
    const decoder = new CodecContext();
    decoder.allocContext3(codec);
    decoder.parametersToContext(stream.codecpar);
    decoder.pktTimebase = stream.timeBase;
    check(await decoder.open2(codec, null), 'input-not-video', 'its audio can not be decoded');
    const encoder = new CodecContext();
    encoder.allocContext3(aac);
    const channels = Math.min(2, Math.max(1, stream.codecpar.channels));
    const rate = SAMPLE_RATES.includes(stream.codecpar.sampleRate) ? stream.codecpar.sampleRate : SAMPLE_RATES.at(-1)!;
    encoder.sampleRate = rate;
    encoder.sampleFormat = AV_SAMPLE_FMT_FLTP;
    encoder.channelLayout = channels === 1 ? AV_CHANNEL_LAYOUT_MONO : AV_CHANNEL_LAYOUT_STEREO;
    encoder.bitRate = BITRATE_BPS_A_CHANNEL * BigInt(channels);
    encoder.timeBase = new Rational(1, rate);
    encoder.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
    check(await encoder.open2(aac, null), 'encode-failed', 'the AAC encoder did not open');
    return new AudioTranscoder(stream, decoder, encoder);
  }

  /** @param packet borrowed, or null to drain @returns coded packets, the caller's to free */
  async transcode(packet: Packet | null): Promise<Packet[]> {
    const coded: Packet[] = [];
    // Damaged audio is dropped; the resampler fills the gap with silence.
    await this.#decoder.sendPacket(packet);
    while ((await this.#decoder.receiveFrame(this.#decoded)) >= 0) {
      this.#decoded.timeBase = this.#stream.timeBase;
      this.#resampler.processSync(this.#decoded);
      this.#decoded.unref();
      await this.#encodeReady(coded);
    }
    if (!packet) {
      this.#resampler.flushSync();
      await this.#encodeReady(coded);
      await this.#encode(null, coded);
    }
    return coded;
  }

  close(): void {
    this.#resampler.close();
    this.#decoded.free();
    this.#decoder.freeContext();
    this.context.freeContext();
  }

  async #encodeReady(into: Packet[]): Promise<void> {
    for (;;) {
      const samples = this.#resampler.receiveSync();
      if (!(samples instanceof Frame)) return;
      const { num, den } = samples.timeBase;
      const pts = BigInt(Math.round((Number(samples.pts) * num * this.context.sampleRate) / den));
      samples.pts = this.#nextPts === undefined || pts > this.#nextPts ? pts : this.#nextPts;
      samples.timeBase = this.context.timeBase;
      this.#nextPts = samples.pts + BigInt(samples.nbSamples);
      try {
        await this.#encode(samples, into);
      } finally {
        samples.free();
      }
    }
  }

  async #encode(samples: Frame | null, into: Packet[]): Promise<void> {
    check(await this.context.sendFrame(samples), 'encode-failed', 'the AAC encoder failed');
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
      check(received, 'encode-failed', 'the AAC encoder failed');
    }
  }
}

function check(code: number, as: 'input-not-video' | 'encode-failed', what: string): void {
  if (code < 0) throw new InferenceError(as, `${what} (${FFmpegError.strerror(code)})`);
}
