import {
  AV_CHANNEL_LAYOUT_5POINT1_BACK,
  AV_CHANNEL_LAYOUT_MONO,
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_NOPTS_VALUE,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  Codec,
  CodecContext,
  FF_ENCODER_AAC,
  FF_ENCODER_LIBOPUS,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
  type Stream,
} from 'node-av';
import { InferenceError } from '../errors.ts';

const BITRATE_BPS_A_CHANNEL = 80_000n;
/** A longer gap is left one in time; a shorter one is filled with silence, for players that go by samples alone. */
const MAX_SILENCE_SECONDS = 10;

/** Rates at which each codec plays everywhere; others are resampled to the last. */
const CODECS = {
  aac: { encoder: FF_ENCODER_AAC, format: AV_SAMPLE_FMT_FLTP, formatName: 'fltp', rates: [32_000, 44_100, 48_000] },
  opus: { encoder: FF_ENCODER_LIBOPUS, format: AV_SAMPLE_FMT_FLT, formatName: 'flt', rates: [48_000] },
} as const;

const LAYOUTS = {
  mono: AV_CHANNEL_LAYOUT_MONO,
  stereo: AV_CHANNEL_LAYOUT_STEREO,
  '5.1': AV_CHANNEL_LAYOUT_5POINT1_BACK,
} as const;

export interface AudioTranscoderOptions {
  /** Default AAC. */
  readonly codec?: keyof typeof CODECS;
  /** Whether six channels and more become 5.1 rather than stereo; default false. */
  readonly surround?: boolean;
}

/** Decodes one audio stream and encodes it anew, keeping its times. */
export class AudioTranscoder {
  readonly context: CodecContext;
  readonly #decoder: CodecContext;
  readonly #stream: Stream;
  /** FFmpeg's filters, for each resampler anew. */
  readonly #filters: string;
  readonly #decoded = new Frame();
  #resampler: FilterAPI;
  /** Where the samples of the next decoded frame should begin, in the stream's ticks. */
  #expected: number | undefined;
  #nextPts: bigint | undefined;

  private constructor(stream: Stream, decoder: CodecContext, encoder: CodecContext, filters: string) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.context = encoder;
    this.#filters = filters;
    this.#decoded.alloc();
    this.#resampler = FilterAPI.create(filters, {});
  }

  /** @throws InferenceError 'input-not-video' when the audio can't be decoded, 'encode-failed' */
  static async open(stream: Stream, options: AudioTranscoderOptions = {}): Promise<AudioTranscoder> {
    const { encoder: name, format, formatName, rates } = CODECS[options.codec ?? 'aac'];
    const codec = Codec.findDecoder(stream.codecpar.codecId);
    const target = Codec.findEncoderByName(name);
    if (!codec) throw new InferenceError('input-not-video', 'its audio codec is not known');
    if (!target) throw new InferenceError('encode-failed', `this FFmpeg build has no ${name}`);
    const decoder = new CodecContext();
    const encoder = new CodecContext();
    try {
      decoder.allocContext3(codec);
      decoder.parametersToContext(stream.codecpar);
      decoder.pktTimebase = stream.timeBase;
      check(await decoder.open2(codec, null), 'input-not-video', 'its audio can not be decoded');
      const { channels, sampleRate } = stream.codecpar;
      const layout = channels <= 1 ? 'mono' : channels >= 6 && options.surround ? '5.1' : 'stereo';
      const rate = rates.find((known) => known === sampleRate) ?? rates.at(-1)!;
      encoder.allocContext3(target);
      encoder.sampleRate = rate;
      encoder.sampleFormat = format;
      encoder.channelLayout = LAYOUTS[layout];
      encoder.bitRate = BITRATE_BPS_A_CHANNEL * BigInt(LAYOUTS[layout].nbChannels);
      encoder.timeBase = new Rational(1, rate);
      encoder.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
      check(await encoder.open2(target, null), 'encode-failed', `the encoder ${name} did not open`);
      // Short gaps in the source stay gaps in time: silence fills them.
      const filters = [
        `aresample=${rate}:async=1`,
        `aformat=sample_fmts=${formatName}:sample_rates=${rate}:channel_layouts=${layout}`,
        `asetnsamples=n=${encoder.frameSize}:p=0`,
      ];
      return new AudioTranscoder(stream, decoder, encoder, filters.join(','));
    } catch (error) {
      decoder.freeContext();
      encoder.freeContext();
      throw error;
    }
  }

  /** @param packet borrowed, or null to drain @returns coded packets, the caller's to free */
  async transcode(packet: Packet | null): Promise<Packet[]> {
    const coded: Packet[] = [];
    // Damaged audio is dropped; the resampler fills the gap with silence.
    await this.#decoder.sendPacket(packet);
    while ((await this.#decoder.receiveFrame(this.#decoded)) >= 0) {
      this.#decoded.timeBase = this.#stream.timeBase;
      await this.#passLongGap(coded);
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

  /** Before a frame that comes long after the last one: what is inside goes out, and the resampler starts anew. */
  async #passLongGap(into: Packet[]): Promise<void> {
    const { pts, nbSamples, sampleRate } = this.#decoded;
    const { num, den } = this.#stream.timeBase;
    if (pts === AV_NOPTS_VALUE) return;
    if (this.#expected !== undefined && ((Number(pts) - this.#expected) * num) / den > MAX_SILENCE_SECONDS) {
      this.#resampler.flushSync();
      await this.#encodeReady(into, true);
      this.#resampler.close();
      this.#resampler = FilterAPI.create(this.#filters, {});
    }
    this.#expected = Number(pts) + (nbSamples * den) / (Math.max(1, sampleRate) * num);
  }

  /** @param dropsRest whether samples too few for a packet are dropped: only the very last one may be short */
  async #encodeReady(into: Packet[], dropsRest = false): Promise<void> {
    for (;;) {
      const samples = this.#resampler.receiveSync();
      if (!(samples instanceof Frame)) return;
      if (dropsRest && samples.nbSamples < this.context.frameSize) {
        samples.free();
        continue;
      }
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
    check(await this.context.sendFrame(samples), 'encode-failed', 'the audio encoder failed');
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
      check(received, 'encode-failed', 'the audio encoder failed');
    }
  }
}

function check(code: number, as: 'input-not-video' | 'encode-failed', what: string): void {
  if (code < 0) throw new InferenceError(as, `${what} (${FFmpegError.strerror(code)})`);
}
