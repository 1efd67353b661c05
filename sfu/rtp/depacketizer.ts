import type { CodedVideo } from '../../inference/live/coded-media.ts';
import type { MediaSink } from '../media-source.ts';
import { FramePieces } from './frame-pieces.ts';
import type { PacketSink } from './jitter-buffer.ts';
import type { RtpPacket } from './rtp-packet.ts';
import { Unwrapper } from './sequence.ts';

/**
 * Where frames go; a `MediaSink` is one. `onLoss` is called at every loss, also while a keyframe is awaited already
 * (it may be what was lost): whoever asks the publisher for keyframes on it limits how often.
 */
export type FrameSink = Pick<MediaSink, 'onVideo' | 'onLoss'>;

/** What one payload was to its frame: a part of it, a part of one that nobody wants, or broken. */
export type PayloadVerdict = 'taken' | 'unwanted' | 'malformed';

/** How one codec's frames lie in RTP payloads. Holds the state of the frame that is being put together. */
export interface PayloadFormat {
  /** Whether each frame's last packet must carry the marker (RFC 7741 does, RFC 6184 §5.1 warns not to rely on it). */
  readonly marksEveryFrame: boolean;
  /** Whether a frame begins here for sure, even if what came before is unknown. */
  beginsFrame(payload: Buffer): boolean;
  /** Takes the next payload of a frame, never empty. @param isFirst it begins the frame */
  add(payload: Buffer, isFirst: boolean, keyframeOnly: boolean, pieces: FramePieces): PayloadVerdict;
  /**
   * Puts the frame together.
   * @returns 'nothing' where no picture was in it, 'unwanted' where it is no keyframe but had to be
   */
  finish(pts: number, keyframeOnly: boolean, pieces: FramePieces): CodedVideo | 'nothing' | 'unwanted' | 'malformed';
}

/** Totals since it was made. */
export interface DepacketizerCounters {
  readonly frames: number;
  readonly keyframes: number;
  /** Frames (or what was left of them) not given out because no keyframe had come since a loss. */
  readonly skipped: number;
  /** Packets and frames that contradict their format. */
  readonly malformed: number;
  /** Losses, of packets or by malformed ones. */
  readonly losses: number;
}

export interface FrameLimits {
  readonly maxFrameBytes?: number;
  readonly maxFramePieces?: number;
}

/**
 * Puts packets together to whole frames. Behind a `JitterBuffer`, whose sink it is. A frame is given out only if every
 * packet of it came, and after a loss nothing is until the next keyframe. It begins by waiting for one, without
 * calling that a loss: whoever starts in mid-stream asks for it.
 *
 * Frames' `pts` are the RTP timestamps without their wrap; they go on growing over a restart.
 */
export class Depacketizer implements PacketSink {
  readonly #format: PayloadFormat;
  readonly #sink: FrameSink;
  readonly #pieces: FramePieces;
  readonly #timestamps = new Unwrapper(32);
  /** Of the packet before, or −1 where it is unknown. */
  #sequence = -1;
  #timestamp = 0;
  /** Of the frame in hand. */
  #pts = 0;
  /** A frame is being put together. */
  #isOpen = false;
  /** The next packet begins a frame, because the one before ended one. */
  #atBoundary = false;
  #needsKeyframe = true;
  #hasSeenMarker = false;
  #frames = 0;
  #keyframes = 0;
  #skipped = 0;
  #malformed = 0;
  #losses = 0;

  constructor(format: PayloadFormat, sink: FrameSink, limits: FrameLimits = {}) {
    this.#format = format;
    this.#sink = sink;
    this.#pieces = new FramePieces(limits.maxFrameBytes, limits.maxFramePieces);
  }

  counters(): DepacketizerCounters {
    return {
      frames: this.#frames,
      keyframes: this.#keyframes,
      skipped: this.#skipped,
      malformed: this.#malformed,
      losses: this.#losses,
    };
  }

  onPacket(packet: RtpPacket, sequence: number): void {
    if (this.#sequence >= 0 && sequence !== this.#sequence + 1) this.#lose();
    const isNewTime = this.#sequence >= 0 && packet.timestamp !== this.#timestamp;
    this.#sequence = sequence;
    if (packet.payload.length === 0) {
      // Padding alone comes between frames. Within one it stands where a part of it should.
      if (this.#isOpen) this.#refuse();
      return;
    }
    this.#timestamp = packet.timestamp;
    if (isNewTime) this.#endUnmarked();
    if (packet.marker) this.#hasSeenMarker = true;
    this.#add(packet);
    if (packet.marker) {
      if (this.#isOpen) this.#finish();
      this.#atBoundary = true;
    }
  }

  onLost(_count: number): void {
    this.#lose();
  }

  onRestart(): void {
    this.#timestamps.restart();
    this.#lose();
  }

  #add({ payload, timestamp }: RtpPacket): void {
    const isFirst = !this.#isOpen;
    if (isFirst) {
      // What is left of a frame that was refused, or that began before what is known.
      if (!this.#atBoundary && !this.#format.beginsFrame(payload)) return;
      this.#isOpen = true;
      this.#atBoundary = false;
      this.#pts = this.#timestamps.unwrap(timestamp);
    }
    const verdict = this.#format.add(payload, isFirst, this.#needsKeyframe, this.#pieces);
    if (verdict === 'malformed') this.#refuse();
    else if (verdict === 'unwanted') this.#skip();
  }

  /** The timestamp changed: what came before ended, though its last packet did not say so. */
  #endUnmarked(): void {
    if (this.#isOpen) {
      // Where a sender marks its frames, what lacks the mark is not all of one.
      if (this.#format.marksEveryFrame && this.#hasSeenMarker) this.#refuse();
      else this.#finish();
    }
    this.#atBoundary = true;
  }

  #finish(): void {
    const frame = this.#format.finish(this.#pts, this.#needsKeyframe, this.#pieces);
    if (frame === 'malformed') this.#refuse();
    else if (frame === 'unwanted') this.#skip();
    else this.#abandon();
    if (typeof frame === 'string') return;
    this.#needsKeyframe = false;
    this.#frames++;
    if (frame.isKeyframe) this.#keyframes++;
    this.#sink.onVideo(frame);
  }

  #skip(): void {
    this.#skipped++;
    this.#abandon();
  }

  #refuse(): void {
    this.#malformed++;
    this.#break();
  }

  #lose(): void {
    this.#sequence = -1;
    this.#break();
  }

  #break(): void {
    this.#abandon();
    this.#needsKeyframe = true;
    this.#losses++;
    this.#sink.onLoss();
  }

  /** Forgets the frame in hand. What is left of it is passed over up to the next boundary. */
  #abandon(): void {
    this.#pieces.clear();
    this.#isOpen = false;
    this.#atBoundary = false;
  }
}
