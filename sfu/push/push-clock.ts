/** Times of a stream go on steadily; a jump this far is another publisher's. */
const MAX_BACK_MS = 1_000;
const MAX_AHEAD_MS = 10_000;
/** Stands in for the picture that a jump swallowed. */
const AFTER_JUMP_MS = 40;
/** Sound this far from the picture belongs to a publisher that has left, or is not the picture's yet. */
const MAX_APART_MS = 5_000;

/** Puts picture and sound on a target's timeline: from 0 at the first picture, never back. */
export class PushClock {
  #baseMs: number | null = null;
  #lastMs = 0;

  /** @param timeMs of a picture, on the timeline that it shares with the sound */
  video(timeMs: number): number {
    this.#baseMs ??= timeMs;
    const step = timeMs - this.#baseMs - this.#lastMs;
    if (step < -MAX_BACK_MS || step > MAX_AHEAD_MS) this.#baseMs = timeMs - this.#lastMs - AFTER_JUMP_MS;
    this.#lastMs = Math.max(this.#lastMs, timeMs - this.#baseMs);
    return this.#lastMs;
  }

  /** @returns null for sound from before the first picture, or of another time than the picture's */
  audio(timeMs: number): number | null {
    if (this.#baseMs === null) return null;
    const time = timeMs - this.#baseMs;
    return time < 0 || Math.abs(time - this.#lastMs) > MAX_APART_MS ? null : time;
  }
}
