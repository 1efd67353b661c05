import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_OPUS,
  AV_CODEC_ID_VP8,
  AV_NOPTS_VALUE,
  AV_PKT_DATA_NEW_EXTRADATA,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  Codec,
  type Packet,
  type Stream,
} from 'node-av';
import type { AudioFormat, VideoCodec } from '../../inference/live/coded-media.ts';
import { readAacTiming } from '../rtmp/audio-specific-config.ts';
import { type AvcConfig, parameterSetsOf, readAccessUnit, readAnnexB, readAvcConfig } from '../rtmp/avc.ts';
import { AudioClock } from '../rtmp/rtmp-timestamps.ts';
import type { PullMessage } from './pull-messages.ts';

/** Where the first packet lies on the timeline: room for those that come after it but are earlier. */
const ORIGIN_MS = 10_000;

/** Turns the packets of FFmpeg's demuxer into coded media: H.264 in Annex B or VP8, Opus or raw AAC. */
export class PulledTracks {
  readonly video: VideoCodec | null;
  readonly audio: AudioFormat | null;
  readonly leftOut: readonly string[];
  readonly #videoStream: Stream | undefined;
  readonly #audioStream: Stream | undefined;
  readonly #aacClock: AudioClock | null = null;
  /** H.264 with lengths (FLV), or null in Annex B (RTP). */
  #avc: AvcConfig | null = null;
  /** Of Annex B: from the session description. */
  #parameterSets: Uint8Array = new Uint8Array();
  #originMs: number | null = null;

  constructor(streams: readonly Stream[]) {
    const tracks = streams.map((stream) => ({ stream, video: videoCodecOf(stream), audio: audioFormatOf(stream) }));
    const video = tracks.find((track) => track.video);
    const audio = tracks.find((track) => track.audio);
    this.#videoStream = video?.stream;
    this.#audioStream = audio?.stream;
    this.video = video?.video ?? null;
    this.audio = audio?.audio ?? null;
    this.leftOut = tracks
      .filter((track) => track !== video && track !== audio)
      .map(({ stream }) => Codec.findDecoder(stream.codecpar.codecId)?.name ?? 'unknown');
    if (this.video === 'h264' && video) this.#configure(video.stream.codecpar.extradata);
    const timing = this.audio?.codec === 'aac' ? readAacTiming(this.audio.config) : null;
    if (timing) this.#aacClock = new AudioClock(timing.samplesPerFrame, timing.sampleRate);
  }

  /** @param packet borrowed @returns null when it is of no track that is taken, or has no time */
  read(packet: Packet): PullMessage | null {
    const data = packet.data;
    if (!data || data.length === 0) return null;
    if (packet.streamIndex === this.#videoStream?.index) return this.#readVideo(packet, data);
    if (packet.streamIndex === this.#audioStream?.index) return this.#readAudio(packet, data);
    return null;
  }

  #readVideo(packet: Packet, data: Buffer): PullMessage | null {
    const timeMs = this.#timeMs(packet, this.#videoStream!);
    if (timeMs === null) return { type: 'loss' };
    const pts = Math.round(timeMs * 90);
    if (this.video === 'vp8') {
      // RFC 6386 §9.1: the first bit of a frame is 0 in keyframes.
      return { type: 'video', frame: { data: Uint8Array.from(data), pts, isKeyframe: (data[0]! & 1) === 0 } };
    }
    const renewed = packet.getSideData(AV_PKT_DATA_NEW_EXTRADATA);
    if (renewed) this.#configure(renewed);
    const unit = this.#avc ? readAccessUnit(data, this.#avc) : readAnnexB(data, this.#parameterSets);
    return unit ? { type: 'video', frame: { data: unit.data, pts, isKeyframe: unit.isKeyframe } } : { type: 'loss' };
  }

  #readAudio(packet: Packet, data: Buffer): PullMessage | null {
    const timeMs = this.#timeMs(packet, this.#audioStream!);
    if (timeMs === null) return null;
    const pts = this.#aacClock ? this.#aacClock.next(timeMs) : Math.round(timeMs * 48);
    return { type: 'audio', packet: { data: Uint8Array.from(data), pts } };
  }

  #configure(extradata: Buffer | null): void {
    if (!extradata) return;
    this.#avc = readAvcConfig(extradata);
    if (!this.#avc) this.#parameterSets = parameterSetsOf(Uint8Array.from(extradata));
  }

  #timeMs(packet: Packet, { timeBase }: Stream): number | null {
    const time = packet.pts === AV_NOPTS_VALUE ? packet.dts : packet.pts;
    if (time === AV_NOPTS_VALUE) return null;
    const ms = (Number(time) * timeBase.num * 1000) / timeBase.den;
    this.#originMs ??= ms - ORIGIN_MS;
    return Math.max(0, ms - this.#originMs);
  }
}

function videoCodecOf({ codecpar }: Stream): VideoCodec | null {
  if (codecpar.codecType !== AVMEDIA_TYPE_VIDEO) return null;
  if (codecpar.codecId === AV_CODEC_ID_H264) return 'h264';
  return codecpar.codecId === AV_CODEC_ID_VP8 ? 'vp8' : null;
}

function audioFormatOf({ codecpar }: Stream): AudioFormat | null {
  if (codecpar.codecType !== AVMEDIA_TYPE_AUDIO) return null;
  if (codecpar.codecId === AV_CODEC_ID_OPUS) return { codec: 'opus' };
  const config = codecpar.extradata;
  // Without its config (as in ADTS) nothing could decode it.
  if (codecpar.codecId !== AV_CODEC_ID_AAC || !config || !readAacTiming(config)) return null;
  return { codec: 'aac', config: Uint8Array.from(config) };
}
