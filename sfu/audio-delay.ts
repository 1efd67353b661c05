import type { CodedAudio } from '../inference/live/coded-media.ts';
import { Smoothed } from './smoothed.ts';

/** Sound is never held longer than pictures can be. */
const MAX_DELAY_MS = 1500;
/** Packets held at most: over a second of 10 ms ones. */
const MAX_HELD = 200;
/** How fast the sound follows the pictures: a step is spread over about a second of them. */
const SMOOTHING = 0.05;
/** Timers are this coarse: what is due within it goes now. */
const TIMER_MS = 0.5;

/**
 * Holds sound back until its pictures leave: what belongs to one moment of the source's timeline leaves at one time.
 * Order is kept; what does not fit is let go early, never late.
 */
export class AudioDelay {
  readonly #release: (packet: CodedAudio) => void;
  readonly #held: { readonly packet: CodedAudio; readonly at: number }[] = [];
  /** By how much pictures leave after their moment. */
  readonly #lag = new Smoothed(SMOOTHING);
  #timer: NodeJS.Timeout | undefined;

  constructor(release: (packet: CodedAudio) => void) {
    this.#release = release;
  }

  /** A picture of the moment `timelineMs` leaves now. */
  follow(timelineMs: number): void {
    this.#lag.add(performance.now() - timelineMs);
  }

  /** Takes sound of the moment `timelineMs`. */
  push(packet: CodedAudio, timelineMs: number): void {
    const now = performance.now();
    const due = this.#lag.value === null ? now : timelineMs + this.#lag.value;
    const before = this.#held.at(-1)?.at ?? now;
    this.#held.push({ packet, at: Math.min(now + MAX_DELAY_MS, Math.max(before, due)) });
    while (this.#held.length > MAX_HELD) this.#release(this.#held.shift()!.packet);
    this.#arm();
  }

  /** By how much pictures leave after their moment, smoothed; null before the first. */
  get lagMs(): number | null {
    return this.#lag.value;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.length = 0;
  }

  #arm(): void {
    const next = this.#held[0];
    if (this.#timer || !next) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const now = performance.now() + TIMER_MS;
        while (this.#held.length > 0 && this.#held[0]!.at <= now) this.#release(this.#held.shift()!.packet);
        this.#arm();
      },
      Math.max(0, next.at - performance.now()),
    );
  }
}
