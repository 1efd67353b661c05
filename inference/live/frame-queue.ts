import type { CodedVideo } from './coded-media.ts';
import type { DropReason } from './live-engine.ts';

export interface QueueBounds {
  readonly maxFrames: number;
  readonly maxBytes: number;
}

/** A coded frame on its way to the decoder. */
export interface QueuedFrame {
  readonly frame: CodedVideo;
  /** When it was sent, of the monotonic clock. */
  readonly sentMs: number;
  /** Frames are missing before it; it is a keyframe. */
  readonly afterGap: boolean;
}

/**
 * Coded frames that wait for the decoder, bounded in number and bytes. What it can't hold is dropped up to the next
 * keyframe, so that all that leaves it can be decoded.
 */
export class FrameQueue {
  readonly #bounds: QueueBounds;
  readonly #onDrop: (reason: DropReason) => void;
  readonly #frames: QueuedFrame[] = [];
  #bytes = 0;
  /** Nothing decodes until a keyframe comes: true at the start, too. */
  #waiting = true;
  #gap = false;

  /** @param onDrop called once for each frame that was dropped */
  constructor(bounds: QueueBounds, onDrop: (reason: DropReason) => void) {
    this.#bounds = bounds;
    this.#onDrop = onDrop;
  }

  get length(): number {
    return this.#frames.length;
  }

  /** Whether nothing that comes is of use until a keyframe does. */
  get isWaiting(): boolean {
    return this.#waiting;
  }

  /** When the frame at the head was sent; null when there is none. */
  get headSentMs(): number | null {
    return this.#frames[0]?.sentMs ?? null;
  }

  /** Takes a frame over. */
  push(frame: CodedVideo, sentMs: number): void {
    if (this.#waiting && !frame.isKeyframe) {
      this.#onDrop('waiting-for-keyframe');
      return;
    }
    const { maxFrames, maxBytes } = this.#bounds;
    if (this.#frames.length >= maxFrames || this.#bytes + frame.data.length > maxBytes) {
      this.skipToKeyframe('queue-full');
      const isRoom = this.#frames.length < maxFrames && this.#bytes + frame.data.length <= maxBytes;
      // Where the frames before it are gone, it decodes only if it is a keyframe.
      if (!isRoom || (this.#waiting && !frame.isKeyframe)) {
        this.#waiting = true;
        this.#gap = true;
        this.#onDrop('queue-full');
        return;
      }
    }
    this.#frames.push({ frame, sentMs, afterGap: this.#gap });
    this.#bytes += frame.data.length;
    this.#waiting = false;
    this.#gap = false;
  }

  shift(): QueuedFrame | undefined {
    const head = this.#frames.shift();
    if (head) this.#bytes -= head.frame.data.length;
    return head;
  }

  /** Frames are missing after the last one that was pushed. */
  loss(): void {
    this.#waiting = true;
    this.#gap = true;
  }

  /** Drops all that waits before the latest keyframe, or all of it where there is none. */
  skipToKeyframe(reason: DropReason): void {
    const latest = this.#frames.findLastIndex(({ frame }, at) => frame.isKeyframe && at > 0);
    const dropped = this.#frames.splice(0, latest < 0 ? this.#frames.length : latest);
    if (dropped.length === 0) return;
    for (const { frame } of dropped) {
      this.#bytes -= frame.data.length;
      this.#onDrop(reason);
    }
    const head = this.#frames[0];
    if (head) this.#frames[0] = { ...head, afterGap: true };
    else this.loss();
  }
}
