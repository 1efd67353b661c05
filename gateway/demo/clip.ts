import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { BlurFileResult, BlurProgress } from '../../inference/blur-file.ts';

export type ClipState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

const MOVES: Readonly<Record<ClipState, readonly ClipState[]>> = {
  queued: ['running', 'cancelled'],
  running: ['done', 'failed', 'cancelled'],
  done: [],
  failed: [],
  cancelled: [],
};

/** What a client sees of a clip. */
export interface ClipView {
  readonly id: string;
  readonly state: ClipState;
  /** 0..100; 100 only when done. */
  readonly progress: number;
  /** Speed of the blurring in frames a second; null until known. */
  readonly fps: number | null;
  readonly etaMs: number | null;
  /** Faces followed through the clip; null until done. */
  readonly faces: number | null;
  /** Frames that were covered whole because no detection vouches for them; null until done. */
  readonly coveredWhole: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** One uploaded clip: a folder with `input` until its job has ended and `output.mp4` once it is done. */
export class Clip {
  /** 128 random bits: whoever knows it may fetch and erase the clip. */
  readonly id = randomBytes(16).toString('hex');
  readonly folder: string;
  readonly input: string;
  readonly output: string;
  readonly abort = new AbortController();
  #state: ClipState = 'queued';
  #progress: BlurProgress | null = null;
  #result: BlurFileResult | null = null;
  #error: ClipView['error'] = null;

  constructor(parent: string) {
    this.folder = join(parent, this.id);
    this.input = join(this.folder, 'input');
    this.output = join(this.folder, 'output.mp4');
  }

  get state(): ClipState {
    return this.#state;
  }

  get ended(): boolean {
    return MOVES[this.#state].length === 0;
  }

  started(): void {
    this.#move('running');
  }

  progressed(progress: BlurProgress): void {
    this.#progress = progress;
  }

  done(result: BlurFileResult): void {
    this.#result = result;
    this.#move('done');
  }

  failed(code: string, message: string): void {
    this.#error = { code, message };
    this.#move('failed');
  }

  /** Also the way to stop the job: the engine's signal is aborted. Without effect once the clip has ended. */
  cancelled(): void {
    if (this.ended) return;
    this.#move('cancelled');
    this.abort.abort();
  }

  view(): ClipView {
    const running = this.#state === 'running' ? this.#progress : null;
    return {
      id: this.id,
      state: this.#state,
      progress: this.#percent(),
      fps: running && running.fps > 0 ? Math.round(running.fps * 10) / 10 : null,
      etaMs: running?.etaMs ?? null,
      faces: this.#result?.faces ?? null,
      coveredWhole: this.#result?.coveredWhole ?? null,
      error: this.#error,
    };
  }

  #percent(): number {
    if (this.#state === 'done') return 100;
    if (!this.#progress?.totalFrames) return 0;
    return Math.min(99, Math.floor((100 * this.#progress.frames) / this.#progress.totalFrames));
  }

  #move(to: ClipState): void {
    if (!MOVES[this.#state].includes(to)) throw new Error(`clip cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}
