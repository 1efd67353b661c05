/** A frame that waited this long (one and a half frames at 30 a second) is late: detection is thinned. */
const LATE_MS = 50;
/** And one this late shows that a step at a time is too slow. */
const VERY_LATE_MS = 150;
/** Frames for which a step is given time to show its effect. */
const SETTLE_FRAMES = 6;
/** After so long without a late frame detection is made denser again; doubled each time that proves too soon. */
const CALM_MS = 1000;
const MAX_CALM_MS = 60_000;
/** A process that is busy for more than this part of its time has none to spare. */
const MAX_BUSY = 0.6;

/**
 * How often to detect: on every frame where there is time for it, and under load as seldom as look-ahead can bracket.
 * Never seldomer: that would leave frames that nobody looked at.
 */
export class DetectionPace {
  #limit: number;
  #every: number;
  #settle = 0;
  #calmSinceMs: number | null = null;
  #calmMs = CALM_MS;
  #densedAtMs = Number.NEGATIVE_INFINITY;
  #busyMs = 0;

  constructor(lookaheadFrames: number) {
    this.#limit = Math.max(1, lookaheadFrames);
    // A stream that starts on a busy machine must not begin by being late.
    this.#every = this.#limit;
  }

  /** Detection runs on every so many-th frame: 1 to what look-ahead brackets. */
  get everyFrames(): number {
    return this.#every;
  }

  setLookahead(frames: number): void {
    this.#limit = Math.max(1, frames);
    this.#every = Math.min(this.#every, this.#limit);
  }

  /**
   * Notes one frame.
   * @param waitedMs from when it was sent until the decoder took it
   * @param tookMs that it was worked on
   * @param nowMs of a monotonic clock
   */
  note(waitedMs: number, tookMs: number, nowMs: number): void {
    this.#calmSinceMs ??= nowMs;
    this.#busyMs += tookMs;
    if (this.#settle > 0) this.#settle--;
    if (waitedMs > LATE_MS) {
      this.#startCalm(nowMs);
      if (this.#settle === 0 && this.#every < this.#limit) this.#thin(waitedMs, nowMs);
      return;
    }
    const calmForMs = nowMs - this.#calmSinceMs;
    if (calmForMs < this.#calmMs) return;
    if (this.#busyMs < MAX_BUSY * calmForMs && this.#every > 1) {
      this.#every--;
      this.#densedAtMs = nowMs;
    } else if (nowMs - this.#densedAtMs > MAX_CALM_MS) {
      this.#calmMs = CALM_MS;
    }
    this.#startCalm(nowMs);
  }

  #thin(waitedMs: number, nowMs: number): void {
    this.#every = waitedMs > VERY_LATE_MS ? this.#limit : this.#every + 1;
    this.#settle = SETTLE_FRAMES;
    if (nowMs - this.#densedAtMs < 2 * this.#calmMs) this.#calmMs = Math.min(MAX_CALM_MS, this.#calmMs * 2);
  }

  #startCalm(nowMs: number): void {
    this.#calmSinceMs = nowMs;
    this.#busyMs = 0;
  }
}
