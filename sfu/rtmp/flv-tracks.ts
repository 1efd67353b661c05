import type { AudioFormat, CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import { readAacTiming } from './audio-specific-config.ts';
import { type AvcConfig, readAccessUnit, readAvcConfig } from './avc.ts';
import { RtmpError } from './rtmp-engine.ts';
import { AudioClock, TimestampUnwrapper } from './rtmp-timestamps.ts';

/** CodecID and SoundFormat (FLV 10.1 §E.4.3.1, §E.4.2.1). */
const H264 = 7;
const AAC = 10;
const VIDEO_INFO_FRAME = 5;
/** AVCPacketType and AACPacketType, and the packet types of Enhanced RTMP. */
const SEQUENCE_HEADER = 0;
const CODED = 1;
const CODED_WITHOUT_OFFSET = 3;
const ENHANCED_METADATA = 4;

const TICKS_PER_MS = 90;
const MAX_CONFIG_BYTES = 64 << 10;
/** ISO/IEC 14496-3 §4.5.3.1: 768 bytes a channel, eight channels; twice that. */
const MAX_AUDIO_FRAME_BYTES = 12 << 10;

/** What the tracks of an RTMP publish bring. */
export interface FlvHandlers {
  onVideo(frame: CodedVideo): void;
  onAudio(packet: CodedAudio): void;
  /** A picture could not be read: what follows it does not decode until the next keyframe. */
  onBroken(): void;
  /** Said once: its sound is in a codec that is left out. */
  onUnknownAudio(what: string): void;
}

/** Reads FLV video and audio tags as RTMP carries them: H.264 and AAC. Times are those of the publisher's one clock. */
export class FlvTracks {
  readonly #handlers: FlvHandlers;
  readonly #videoTime = new TimestampUnwrapper();
  readonly #audioTime = new TimestampUnwrapper();
  #avc: AvcConfig | null = null;
  #audio: Extract<AudioFormat, { codec: 'aac' }> | null = null;
  #audioClock: AudioClock | null = null;
  #toldUnknown = false;

  constructor(handlers: FlvHandlers) {
    this.#handlers = handlers;
  }

  /** Its sequence header came: there are pictures. */
  get hasVideo(): boolean {
    return this.#avc !== null;
  }

  /** Known from its sequence header on; null before, and where there is no AAC. */
  get audio(): Extract<AudioFormat, { codec: 'aac' }> | null {
    return this.#audio;
  }

  /** There is sound, but not such that is taken. */
  get hasUnknownAudio(): boolean {
    return this.#toldUnknown;
  }

  /**
   * One video message, borrowed.
   *
   *     FLV 10.1 §E.4.3.1           FrameType u(4) | CodecID u(4) | AVCPacketType u(8) | CompositionTime s(24) | data
   *     Enhanced RTMP v2            1 | FrameType u(3) | PacketType u(4) | FourCC u(32) | CompositionTime s(24) if type 1
   *
   * @throws RtmpError when it is not H.264
   */
  video(timestampMs: number, tag: Buffer): void {
    if (tag.length === 0) return;
    const first = tag[0]!;
    if (((first >> 4) & 7) === VIDEO_INFO_FRAME) return;
    const isEnhanced = (first & 0x80) !== 0;
    const type = isEnhanced ? first & 15 : tag[1];
    if (isEnhanced) {
      const fourCc = tag.toString('latin1', 1, 5);
      if (type === ENHANCED_METADATA) return;
      if (fourCc !== 'avc1') throw new RtmpError(`video is ${printable(fourCc)}; only H.264 is taken`);
    } else if ((first & 15) !== H264) {
      throw new RtmpError(`video is of FLV codec ${first & 15}; only H.264 is taken`);
    }
    const hasOffset = !isEnhanced || type === CODED;
    const data = (isEnhanced ? 5 : 2) + (hasOffset ? 3 : 0);
    if (type === SEQUENCE_HEADER) this.#configureVideo(tag.subarray(data));
    else if (type === CODED || (isEnhanced && type === CODED_WITHOUT_OFFSET)) {
      if (tag.length < data) this.#handlers.onBroken();
      else this.#picture(timestampMs, hasOffset ? tag.readIntBE(data - 3, 3) : 0, tag.subarray(data));
    }
  }

  /**
   * One audio message, borrowed (FLV 10.1 §E.4.2.1).
   *
   *     SoundFormat u(4) | SoundRate u(2) | SoundSize u(1) | SoundType u(1) | AACPacketType u(8) | data
   */
  audioTag(timestampMs: number, tag: Buffer): void {
    // Some encoders send empty messages to keep time.
    if (tag.length < 2) return;
    const format = tag[0]! >> 4;
    if (format !== AAC) this.#unknownAudio(`FLV sound format ${format}`);
    else if (tag[1] === SEQUENCE_HEADER) this.#configureAudio(tag.subarray(2));
    else if (this.#audioClock && tag.length > 2 && tag.length <= MAX_AUDIO_FRAME_BYTES) {
      const pts = this.#audioClock.next(this.#audioTime.unwrap(timestampMs));
      this.#handlers.onAudio({ data: Uint8Array.from(tag.subarray(2)), pts });
    }
  }

  #configureVideo(record: Buffer): void {
    const config = record.length > MAX_CONFIG_BYTES ? null : readAvcConfig(record);
    if (!config) throw new RtmpError('an H.264 header that can not be read');
    this.#avc = config;
  }

  #picture(timestampMs: number, offsetMs: number, data: Buffer): void {
    const decodedMs = this.#videoTime.unwrap(timestampMs);
    const unit = this.#avc && readAccessUnit(data, this.#avc);
    if (!unit) {
      this.#handlers.onBroken();
      return;
    }
    const pts = Math.max(0, decodedMs + offsetMs) * TICKS_PER_MS;
    this.#handlers.onVideo({ data: unit.data, pts, isKeyframe: unit.isKeyframe });
  }

  #configureAudio(config: Buffer): void {
    const timing = config.length > MAX_CONFIG_BYTES ? null : readAacTiming(config);
    if (!timing) {
      this.#unknownAudio('an AAC header that can not be read');
      return;
    }
    // What comes after would need another decoder than the one the source has announced.
    if (this.#audio && !config.equals(this.#audio.config)) throw new RtmpError('the sound changed its format');
    this.#audio ??= { codec: 'aac', config: Uint8Array.from(config) };
    this.#audioClock ??= new AudioClock(timing.samplesPerFrame, timing.sampleRate);
  }

  #unknownAudio(what: string): void {
    if (this.#toldUnknown) return;
    this.#toldUnknown = true;
    this.#handlers.onUnknownAudio(what);
  }
}

function printable(fourCc: string): string {
  return fourCc.replace(/[^\w.-]/g, '?');
}
