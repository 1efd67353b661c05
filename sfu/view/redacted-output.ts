import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import { SfuError } from '../errors.ts';
import type { Packetizer } from '../rtp/packetizer.ts';
import { createPacketizer } from '../rtp/payload-formats.ts';
import { buildSenderReport } from '../rtp/rtcp.ts';
import { RtpStream } from '../rtp/rtp-stream.ts';
import type { MediaWorker } from '../workers.ts';
import {
  AUDIO_PAYLOAD_TYPE,
  AUDIO_SSRC,
  CNAME,
  RedactedPackets,
  VIDEO_PAYLOAD_TYPE,
  VIDEO_SSRC,
} from './redacted-producer.ts';
import { groupKey, type OfferedTypes, ViewGroup } from './view-group.ts';

/** Pairs of payload types in use at a time; browsers of one kind share one. */
const MAX_GROUPS = 24;

const VIDEO_CLOCK = 90;
const AUDIO_CLOCK = 48;

/** Whoever else takes the redacted media: push targets, recorders. */
export interface RedactedTap {
  onVideo(frame: Redacted<CodedVideo>): void;
  onAudio(packet: CodedAudio): void;
}

/**
 * What leaves a stream: takes redacted frames and sound, makes RTP of them once, and gives it to every group of viewers.
 * Outlives a publish, so that viewers stay when another publisher takes over: timestamps then go on from where they were.
 */
export class RedactedOutput {
  readonly codec: VideoCodec;
  readonly worker: MediaWorker;
  readonly #onKeyframeRequest: () => void;
  readonly #groups = new Map<string, Promise<ViewGroup>>();
  readonly #open = new Set<ViewGroup>();
  readonly #taps = new Set<RedactedTap>();
  readonly #video: RtpStream;
  readonly #audio: RtpStream;
  readonly #packetizer: Packetizer;
  #videoShift = 0;
  #audioShift = 0;
  #rebase: { video: boolean; audio: boolean } = { video: false, audio: false };
  #lastVideo: { pts: number; at: number } | undefined;
  #lastAudio: { pts: number; at: number } | undefined;
  #bytes = 0;
  #closed = false;

  constructor(worker: MediaWorker, codec: VideoCodec, onKeyframeRequest: () => void) {
    this.worker = worker;
    this.codec = codec;
    this.#onKeyframeRequest = onKeyframeRequest;
    this.#video = new RtpStream({ ssrc: VIDEO_SSRC, payloadType: VIDEO_PAYLOAD_TYPE });
    this.#packetizer = createPacketizer(codec);
    this.#audio = new RtpStream({ ssrc: AUDIO_SSRC, payloadType: AUDIO_PAYLOAD_TYPE });
  }

  /** Bytes of RTP sent so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The group for viewers who made such an offer. @throws SfuError 'too-many' | 'closed' */
  async group(offered: OfferedTypes): Promise<ViewGroup> {
    if (this.#closed) throw new SfuError('closed', 'the stream has ended');
    const key = groupKey(offered);
    const known = this.#groups.get(key);
    if (known) return known;
    if (this.#groups.size >= MAX_GROUPS) throw new SfuError('too-many', 'too many kinds of players watch this stream');
    const made = ViewGroup.create(this.worker, this.codec, offered, this.#onKeyframeRequest);
    this.#groups.set(key, made);
    try {
      const group = await made;
      if (this.#closed) {
        group.close();
        throw new SfuError('closed', 'the stream has ended');
      }
      this.#open.add(group);
      return group;
    } catch (error) {
      this.#groups.delete(key);
      throw error;
    }
  }

  /** Closes groups that nobody watches on; called when a viewer leaves. */
  release(group: ViewGroup): void {
    group.close();
    this.#open.delete(group);
    this.#groups.delete(group.key);
  }

  /** Another publisher begins: its timestamps are moved to follow those that were sent. */
  beginPublish(): void {
    this.#rebase = { video: this.#lastVideo !== undefined, audio: this.#lastAudio !== undefined };
  }

  /** Sends one picture to everyone. */
  sendVideo(frame: Redacted<CodedVideo>): void {
    const now = performance.now();
    if (this.#rebase.video && this.#lastVideo) {
      this.#videoShift = continued(this.#lastVideo, now, VIDEO_CLOCK) - frame.pts;
      this.#rebase.video = false;
    }
    const pts = frame.pts + this.#videoShift;
    this.#lastVideo = { pts, at: now };
    const packets = RedactedPackets.of(frame, this.#video, this.#packetizer, pts);
    this.#bytes += packets.bytes;
    for (const group of this.#open) group.sendVideo(packets);
    for (const tap of this.#taps) tap.onVideo(frame);
  }

  sendAudio(packet: CodedAudio): void {
    const now = performance.now();
    if (this.#rebase.audio && this.#lastAudio) {
      this.#audioShift = continued(this.#lastAudio, now, AUDIO_CLOCK) - packet.pts;
      this.#rebase.audio = false;
    }
    const pts = packet.pts + this.#audioShift;
    this.#lastAudio = { pts, at: now };
    const rtp = this.#audio.packet(packet.data, pts);
    this.#bytes += rtp.length;
    for (const group of this.#open) group.sendAudio(rtp);
    for (const tap of this.#taps) tap.onAudio(packet);
  }

  /**
   * Tells viewers which moment (Unix ms, one clock for both) a picture or packet belongs to.
   * @param pts of one that was sent, as it came in
   */
  sendReport(kind: 'video' | 'audio', pts: number, ntpMs: number): void {
    const stream = kind === 'video' ? this.#video : this.#audio;
    const report = buildSenderReport({
      ssrc: stream.ssrc,
      ntpMs,
      rtpTimestamp: pts + (kind === 'video' ? this.#videoShift : this.#audioShift),
      packetCount: stream.packetCount,
      octetCount: stream.octetCount,
      cname: CNAME,
    });
    for (const group of this.#open) group.sendReport(report);
  }

  /** @returns its removal */
  addTap(tap: RedactedTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** Ends all viewers. */
  close(): void {
    this.#closed = true;
    for (const group of this.#open) group.close();
    this.#open.clear();
    this.#groups.clear();
    this.#taps.clear();
  }
}

/** Where timestamps stand now if they had gone on. */
function continued(last: { pts: number; at: number }, now: number, ticksPerMs: number): number {
  return Math.round(last.pts + Math.max(1, now - last.at) * ticksPerMs);
}
