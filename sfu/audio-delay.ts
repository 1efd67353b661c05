import type { CodedAudio } from '../inference/live/coded-media.ts';

/** Sound is never held longer than pictures can be. */
const MAX_DELAY_MS = 1500;
/** Packets held at most: over a second of 10 ms ones. */
const MAX_HELD = 200;
/** How fast the delay follows the pictures': a step is spread over about a second of packets. */
const SMOOTHING = 0.05;

/**
 * Holds sound back for as long as pictures take through the bridge, so that both leave in step. Order is kept; what
 * does not fit is let go early, never late.
 */
export class AudioDelay {
  readonly #release: (packet: CodedAudio) => void;
  readonly #held: { readonly packet: CodedAudio; readonly at: number }[] = [];
  #delayMs = 0;
  #targetMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(release: (packet: CodedAudio) => void) {
    this.#release = release;
  }

  /** What a packet is held for now. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** Pictures took so long lately. */
  follow(videoLatencyMs: number): void {
    this.#targetMs = Math.min(MAX_DELAY_MS, Math.max(0, videoLatencyMs));
  }

  push(packet: CodedAudio): void {
    this.#delayMs += (this.#targetMs - this.#delayMs) * SMOOTHING;
    this.#held.push({ packet, at: performance.now() + this.#delayMs });
    while (this.#held.length > MAX_HELD) this.#release(this.#held.shift()!.packet);
    this.#arm();
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
        const now = performance.now();
        while (this.#held.length > 0 && this.#held[0]!.at <= now + 0.5) this.#release(this.#held.shift()!.packet);
        this.#arm();
      },
      Math.max(0, next.at - performance.now()),
    );
  }
}
