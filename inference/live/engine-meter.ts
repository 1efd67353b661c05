import type { DropReason, EngineStage, EngineStats, RecognitionStats } from './live-engine.ts';

const STAGES: readonly EngineStage[] = ['wait', 'decode', 'detect', 'blur', 'encode'];
/** More frames a second than this are not timed. */
const MAX_SAMPLES = 240;

/** Counts what an engine does, and times its stages over the last second. */
export class EngineMeter {
  readonly frames = { in: 0, out: 0, detected: 0, bracketed: 0, covered: 0 };
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #times = new Map<EngineStage, number[]>(STAGES.map((stage) => [stage, []]));
  #last = { ms: performance.now(), in: 0, out: 0, embeddings: 0 };

  drop(reason: DropReason): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  time(stage: EngineStage, ms: number): void {
    const times = this.#times.get(stage)!;
    if (times.length < MAX_SAMPLES) times.push(ms);
  }

  /** Totals, and what happened since the last call. */
  read(
    now: Pick<EngineStats, 'width' | 'height' | 'faces' | 'detectEveryFrames' | 'detector'>,
    { embeddings, ...recognition }: Omit<RecognitionStats, 'embeddingsPerSecond'> & { readonly embeddings: number },
  ): EngineStats {
    const ms = performance.now();
    const seconds = Math.max(0.001, (ms - this.#last.ms) / 1000);
    const fps = {
      in: tenth((this.frames.in - this.#last.in) / seconds),
      out: tenth((this.frames.out - this.#last.out) / seconds),
    };
    const embeddingsPerSecond = tenth((embeddings - this.#last.embeddings) / seconds);
    this.#last = { ms, in: this.frames.in, out: this.frames.out, embeddings };
    const stageMs = Object.fromEntries(STAGES.map((stage) => [stage, this.#takeMedian(stage)]));
    return {
      ...now,
      fps,
      recognition: { ...recognition, embeddingsPerSecond },
      frames: { ...this.frames, dropped: { ...this.#dropped } },
      stageMs: stageMs as Record<EngineStage, number | null>,
    };
  }

  #takeMedian(stage: EngineStage): number | null {
    const times = this.#times
      .get(stage)!
      .splice(0)
      .sort((a, b) => a - b);
    const middle = times[times.length >> 1];
    return middle === undefined ? null : Math.round(middle * 100) / 100;
  }
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
