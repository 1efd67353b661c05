/** RTMP timestamps are of 32 bits and wrap after 49.7 days (RTMP 1.0 §5.3.1). */
const WRAP = 2 ** 32;

/** Makes one track's timestamps continuous. */
export class TimestampUnwrapper {
  #last: number | null = null;

  /** @param timestampMs 0..2³²−1 @returns ms without wrap; may go back as far as the track does */
  unwrap(timestampMs: number): number {
    const last = this.#last;
    if (last === null) this.#last = timestampMs;
    else {
      const ahead = (((timestampMs - last) % WRAP) + WRAP) % WRAP;
      this.#last = Math.max(0, last + (ahead < WRAP / 2 ? ahead : ahead - WRAP));
    }
    return this.#last as number;
  }
}

/** Whole milliseconds jitter by one; more than this is a gap, or a clock that runs away. */
const MAX_DRIFT_MS = 20;
const TICKS_PER_MS = 48;

/**
 * Times of AAC frames in 48 kHz ticks. Frames follow each other by their own length, as they were recorded; the
 * container's milliseconds are only followed where they tell of a gap or a drift.
 */
export class AudioClock {
  readonly #ticksPerFrame: number;
  #next: number | null = null;
  #last = -1;

  /** @param samplesPerFrame per channel @param sampleRate in Hz, as decoded without SBR */
  constructor(samplesPerFrame: number, sampleRate: number) {
    this.#ticksPerFrame = (samplesPerFrame * 48_000) / sampleRate;
  }

  /** @param timeMs of the frame by its container, unwrapped @returns its pts; rises from frame to frame */
  next(timeMs: number): number {
    const told = timeMs * TICKS_PER_MS;
    const counted = this.#next ?? told;
    const time = Math.abs(counted - told) > MAX_DRIFT_MS * TICKS_PER_MS ? told : counted;
    this.#next = time + this.#ticksPerFrame;
    this.#last = Math.max(Math.round(time), this.#last + 1);
    return this.#last;
  }
}
