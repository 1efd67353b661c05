/** A sender's clock may drift by this much against ours: the estimate gives way by it. */
const DRIFT_MS_PER_S = 0.5;
/** A timestamp that jumps by more than this against its arrival begins a new timeline. */
const MAX_JUMP_MS = 2000;

/**
 * Where a sender's timestamps lie on our clock: the packet that took the least time on its way sets it, and the bound
 * gives way slowly, so that a drifting clock is followed. Video and audio of one sender share the network, hence a
 * timeline.
 */
export class ArrivalClock {
  readonly #ticksPerMs: number;
  #offsetMs: number | undefined;
  #at = 0;

  constructor(ticksPerMs: number) {
    this.#ticksPerMs = ticksPerMs;
  }

  /** A packet or the last one of a frame came in. */
  note(pts: number, nowMs: number): void {
    const offset = nowMs - pts / this.#ticksPerMs;
    if (this.#offsetMs === undefined || Math.abs(offset - this.#offsetMs) > MAX_JUMP_MS) {
      this.#offsetMs = offset;
    } else {
      const yielded = this.#offsetMs + ((nowMs - this.#at) * DRIFT_MS_PER_S) / 1000;
      this.#offsetMs = Math.min(offset, yielded);
    }
    this.#at = nowMs;
  }

  /** When it was captured, in ms of our clock. */
  timelineMs(pts: number): number {
    return pts / this.#ticksPerMs + (this.#offsetMs ?? 0);
  }
}
