import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_ID_AAC,
  AV_SAMPLE_FMT_FLT,
  Codec,
  CodecContext,
  FF_ENCODER_LIBOPUS,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { InferenceError } from '../errors.ts';
import type { AudioFormat, CodedAudio } from './coded-media.ts';
import { openCodec } from './open-codec.ts';

const RATE = 48_000;
/** 20 ms. */
const FRAME_SAMPLES = 960;
const BITRATE_BPS = 128_000n;
/** A packet this far (in ticks of 48 kHz, 40 ms) from where the samples before it end starts a new timeline. */
const GAP_TICKS = 1920;
/** Packets' times are rounded, to a millisecond in RTMP: their mean counts, taken over about this many packets. */
const DRIFT_PACKETS = 32;
/** From this mean on (1 ms) the times of what leaves are moved. */
const DRIFT_TICKS = 48;

/** AAC to Opus: 48 kHz stereo in packets of 20 ms, in this thread, with the times of what went in. */
export class OpusTranscoder {
  readonly #decoder: CodecContext;
  readonly #encoder: CodecContext;
  readonly #packet = new Packet();
  readonly #decoded = new Frame();
  #resampler: FilterAPI | undefined;
  /** What a packet's time differs from its samples' by: Opus looks ahead, so a packet begins before them. */
  #encoderDelay: number | undefined;
  /** Time of the next sample that leaves the resampler; undefined before the first, and after a gap. */
  #nextPts: number | undefined;
  /** Samples of 48 kHz that went in since the timeline began, and its beginning. */
  #start = { pts: 0, samples: 0 };
  #drift = 0;

  private constructor(decoder: CodecContext, encoder: CodecContext) {
    this.#decoder = decoder;
    this.#encoder = encoder;
    this.#packet.alloc();
    this.#decoded.alloc();
  }

  /** @throws InferenceError 'decode-failed' | 'encode-failed' */
  static open({ config }: Extract<AudioFormat, { codec: 'aac' }>): OpusTranscoder {
    const aac = Codec.findDecoder(AV_CODEC_ID_AAC);
    const opus = Codec.findEncoderByName(FF_ENCODER_LIBOPUS);
    if (!aac || !opus) throw new InferenceError('encode-failed', 'this FFmpeg build has no AAC or no Opus');
    const decoder = new CodecContext();
    decoder.allocContext3(aac);
    decoder.extraData = Buffer.from(config);
    decoder.pktTimebase = new Rational(1, RATE);
    const encoder = new CodecContext();
    encoder.allocContext3(opus);
    encoder.sampleRate = RATE;
    encoder.sampleFormat = AV_SAMPLE_FMT_FLT;
    encoder.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
    encoder.bitRate = BITRATE_BPS;
    encoder.timeBase = new Rational(1, RATE);
    try {
      openCodec(decoder, aac, {}, 'decode-failed');
      openCodec(encoder, opus, { frame_duration: '20', application: 'audio', compression_level: '5' }, 'encode-failed');
    } catch (error) {
      decoder.freeContext();
      encoder.freeContext();
      throw error;
    }
    return new OpusTranscoder(decoder, encoder);
  }

  /**
   * @param packet borrowed
   * @returns the Opus packets that it completed; a packet that does not decode leaves a gap
   * @throws InferenceError 'encode-failed'
   */
  transcode({ data, pts }: CodedAudio): CodedAudio[] {
    const packet = this.#packet;
    packet.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    packet.pts = BigInt(Math.round(pts));
    const sent = this.#decoder.sendPacketSync(packet);
    packet.unref();
    const coded: CodedAudio[] = [];
    if (sent < 0) this.#nextPts = undefined;
    while (this.#decoder.receiveFrameSync(this.#decoded) >= 0) {
      this.#follow(Number(this.#decoded.pts), this.#decoded);
      this.#decoded.timeBase = new Rational(1, RATE);
      this.#resampler!.processSync(this.#decoded);
      this.#decoded.unref();
      this.#encodeReady(coded);
    }
    return coded;
  }

  close(): void {
    this.#resampler?.close();
    this.#packet.free();
    this.#decoded.free();
    this.#decoder.freeContext();
    this.#encoder.freeContext();
  }

  /** Begins a new timeline where the packet does not continue the last one. */
  #follow(pts: number, { nbSamples, sampleRate }: Frame): void {
    const away = pts - this.#start.pts - this.#start.samples;
    if (this.#nextPts === undefined || !this.#resampler || Math.abs(away) > GAP_TICKS) {
      // What the old timeline still holds is less than a packet.
      this.#resampler?.close();
      this.#resampler = FilterAPI.create(
        `aresample=${RATE},aformat=sample_fmts=flt:channel_layouts=stereo,asetnsamples=n=${FRAME_SAMPLES}:p=0`,
        {},
      );
      this.#start = { pts, samples: 0 };
      this.#nextPts = pts;
      this.#drift = 0;
    } else {
      this.#drift += (away - this.#drift) / DRIFT_PACKETS;
      if (Math.abs(this.#drift) > DRIFT_TICKS) {
        const moved = Math.round(this.#drift);
        this.#start.pts += moved;
        this.#nextPts += moved;
        this.#drift = 0;
      }
    }
    this.#start.samples += (nbSamples * RATE) / sampleRate;
  }

  #encodeReady(into: CodedAudio[]): void {
    for (;;) {
      const samples = this.#resampler!.receiveSync();
      if (!(samples instanceof Frame)) return;
      const pts = this.#nextPts!;
      this.#nextPts = pts + samples.nbSamples;
      samples.pts = BigInt(Math.round(pts));
      samples.timeBase = this.#encoder.timeBase;
      const sent = this.#encoder.sendFrameSync(samples);
      samples.free();
      if (sent < 0) throw new InferenceError('encode-failed', `Opus failed (${FFmpegError.strerror(sent)})`);
      // One packet for each frame; which one it is made from is known without the encoder's own book-keeping, which
      // does not take to jumps.
      while (this.#encoder.receivePacketSync(this.#packet) >= 0) {
        this.#encoderDelay ??= Math.round(pts) - Number(this.#packet.pts);
        into.push({ data: new Uint8Array(this.#packet.data ?? []), pts: Math.round(pts) - this.#encoderDelay });
        this.#packet.unref();
      }
    }
  }
}
