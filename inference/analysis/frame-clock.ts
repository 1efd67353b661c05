/** When each frame of a file is shown, in milliseconds from the first: 2 MB for two hours. */
export class FrameClock {
  readonly #starts: number[] = [];
  #lastDuration = 0;

  /** Notes the next frame. */
  add(startMs: number, durationMs: number): void {
    this.#starts.push(startMs);
    this.#lastDuration = durationMs;
  }

  startMs(frame: number): number {
    return this.#starts[frame]! - this.#starts[0]!;
  }

  /** When the next one is shown. */
  endMs(frame: number): number {
    return frame + 1 < this.#starts.length ? this.startMs(frame + 1) : this.startMs(frame) + this.#lastDuration;
  }
}
