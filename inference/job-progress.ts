export interface BlurProgress {
  /** `analysing` only where people are told apart: the file is read once more then. */
  readonly stage: 'starting' | 'analysing' | 'blurring' | 'finishing';
  /** Frames done. */
  readonly frames: number;
  readonly totalFrames: number | null;
  /** Frames a second, lately. */
  readonly fps: number;
  readonly etaMs: number | null;
}

const PROGRESS_INTERVAL_MS = 200;

/** Tells progress a few times a second. */
export class ProgressClock {
  readonly #total: number | null;
  readonly #stage: BlurProgress['stage'];
  readonly #tell: (progress: BlurProgress) => void;
  #toldMs = performance.now();
  #toldFrames = 0;
  #frames = 0;
  #fps = 0;

  /** @param stage that the frames are going through */
  constructor(total: number | null, stage: BlurProgress['stage'], tell: (progress: BlurProgress) => void) {
    this.#total = total;
    this.#stage = stage;
    this.#tell = tell;
    this.#say('starting');
  }

  tick(frames: number): void {
    this.#frames = frames;
    const elapsed = performance.now() - this.#toldMs;
    if (elapsed < PROGRESS_INTERVAL_MS) return;
    const fps = ((frames - this.#toldFrames) * 1000) / elapsed;
    this.#fps = this.#fps === 0 ? fps : this.#fps * 0.8 + fps * 0.2;
    this.#toldMs += elapsed;
    this.#toldFrames = frames;
    this.#say(this.#stage);
  }

  finish(): void {
    this.#say('finishing');
  }

  #say(stage: BlurProgress['stage']): void {
    const left = this.#total === null ? null : Math.max(0, this.#total - this.#frames);
    const etaMs = left === null || this.#fps === 0 ? null : Math.round((left * 1000) / this.#fps);
    this.#tell({ stage, frames: this.#frames, totalFrames: this.#total, fps: Math.round(this.#fps * 10) / 10, etaMs });
  }
}
