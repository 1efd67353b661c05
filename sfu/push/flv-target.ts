import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_OPUS,
  AV_PKT_DATA_NEW_EXTRADATA,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  Dictionary,
  FFmpegError,
  FormatContext,
  Packet,
  Rational,
  type Stream,
} from 'node-av';
import { AudioTranscoder } from '../../inference/media/audio-transcoder.ts';
import { parameterSetsOf } from '../rtmp/avc.ts';
import type { PushInput, PushOrder } from './push-messages.ts';

const MS = new Rational(1, 1000);
const OPUS_RATE = 48_000;

/** FLV over RTMP, written by FFmpeg: H.264 as it is, Opus as AAC. */
export class FlvTarget {
  readonly #format: FormatContext;
  readonly #video: Stream;
  readonly #audio: Stream;
  readonly #transcoder: AudioTranscoder;
  readonly #packet = new Packet();
  #parameterSets: Uint8Array;

  private constructor(format: FormatContext, transcoder: AudioTranscoder, parameterSets: Uint8Array) {
    this.#format = format;
    this.#transcoder = transcoder;
    this.#parameterSets = parameterSets;
    this.#video = format.newStream(null);
    this.#video.timeBase = MS as Stream['timeBase'];
    const { codecpar } = this.#video;
    codecpar.codecType = AVMEDIA_TYPE_VIDEO;
    codecpar.codecId = AV_CODEC_ID_H264;
    codecpar.extradata = Buffer.from(parameterSets);
    this.#audio = format.newStream(null);
    this.#audio.timeBase = transcoder.context.timeBase as Stream['timeBase'];
    this.#audio.codecpar.fromContext(transcoder.context);
    this.#packet.alloc();
  }

  /** Connects, and writes the header that a first keyframe tells. @throws Error */
  static async open(order: PushOrder, keyframe: Uint8Array): Promise<FlvTarget> {
    const parameterSets = parameterSetsOf(keyframe);
    if (parameterSets.length === 0) throw new Error('a first keyframe without SPS and PPS');
    const format = new FormatContext();
    // FFmpeg opens an output without options for its protocol; its fifo muxer hands them on.
    check(format.allocOutputContext2(null, 'fifo', order.url), 'no muxer');
    const target = new FlvTarget(format, await AudioTranscoder.open(opusStream()), parameterSets);
    // Fills in the size of the picture; without it the stream is as good.
    target.#video.codecpar.parseExtradata();
    using options = Dictionary.fromObject({
      fifo_format: 'flv',
      // What is written here was taken by the network, but for two packets.
      queue_size: '1',
      format_opts: optionList({
        ...order.options,
        flvflags: 'no_duration_filesize',
        flush_packets: '1',
        protocol_whitelist: 'rtmp,tcp',
      }),
    });
    check(await format.writeHeader(options), 'it can not be opened');
    return target;
  }

  /** @throws Error when the target does not take it */
  async write(input: Extract<PushInput, { type: 'video' | 'audio' }>): Promise<void> {
    if (input.type === 'video') await this.#writeVideo(input);
    else await this.#writeAudio(input);
  }

  /** Says goodbye. */
  async finish(): Promise<void> {
    await this.#format.writeTrailer();
  }

  async #writeVideo(input: Extract<PushInput, { type: 'video' }>): Promise<void> {
    const packet = this.#packet;
    packet.data = Buffer.from(input.data);
    packet.isKeyframe = input.isKeyframe;
    if (input.isKeyframe) {
      const parameterSets = parameterSetsOf(input.data);
      if (parameterSets.length > 0 && !Buffer.from(parameterSets).equals(this.#parameterSets)) {
        // Another size, say: the muxer writes a new header before it.
        this.#parameterSets = parameterSets;
        check(packet.addSideData(AV_PKT_DATA_NEW_EXTRADATA, Buffer.from(parameterSets)), 'no new header');
      }
    }
    const time = BigInt(Math.round(input.timeMs));
    packet.pts = time;
    packet.dts = time;
    await this.#writePacket(packet, this.#video, MS);
  }

  async #writeAudio(input: Extract<PushInput, { type: 'audio' }>): Promise<void> {
    const opus = new Packet();
    opus.alloc();
    opus.data = Buffer.from(input.data);
    opus.pts = BigInt(Math.round(input.timeMs * (OPUS_RATE / 1000)));
    opus.dts = opus.pts;
    const coded = await this.#transcoder.transcode(opus);
    opus.free();
    for (const packet of coded) {
      // The encoder's priming lies before the start, where FLV has no times.
      if (packet.pts >= 0n) await this.#writePacket(packet, this.#audio, this.#transcoder.context.timeBase);
      packet.free();
    }
  }

  async #writePacket(packet: Packet, stream: Stream, timeBase: { num: number; den: number }): Promise<void> {
    packet.streamIndex = stream.index;
    packet.rescaleTs(timeBase, stream.timeBase);
    // Not interleaved: what is live comes in order, and silence must not hold the picture back.
    const written = await this.#format.writeFrame(packet);
    packet.unref();
    check(written, 'it takes no more');
  }
}

/** What the transcoder takes a source for: a track of WebRTC's Opus. */
function opusStream(): Stream {
  const holder = new FormatContext();
  holder.allocContext();
  const stream = holder.newStream(null);
  stream.timeBase = new Rational(1, OPUS_RATE) as Stream['timeBase'];
  const { codecpar } = stream;
  codecpar.codecType = AVMEDIA_TYPE_AUDIO;
  codecpar.codecId = AV_CODEC_ID_OPUS;
  codecpar.sampleRate = OPUS_RATE;
  codecpar.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
  return stream;
}

/** FFmpeg's `key=value:key=value`, its special characters escaped. */
function optionList(options: Readonly<Record<string, string>>): string {
  return Object.entries(options)
    .map(([key, value]) => `${key}=${value.replace(/[\\':=\s]/g, '\\$&')}`)
    .join(':');
}

function check(code: number, what: string): void {
  if (code < 0) throw new Error(`${what} (${FFmpegError.strerror(code)})`);
}
