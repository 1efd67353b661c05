import type { BlurProgress } from '../../inference/blur-file.ts';

const REDRAW_MS = 100;
const BAR_CELLS = 28;

/** One line on a terminal that is redrawn in place; it draws nothing where the stream is no terminal. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #enabled: boolean;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: NodeJS.WriteStream, enabled: boolean) {
    this.#stream = stream;
    this.#enabled = enabled && stream.isTTY === true;
  }

  draw(progress: BlurProgress): void {
    const now = performance.now();
    if (!this.#enabled || now - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = now;
    const line = progressText(progress).slice(0, Math.max(0, (this.#stream.columns || 80) - 1));
    this.#stream.write(`\r${line}\x1b[K`);
  }

  /** Leaves an empty line for what is printed next. */
  clear(): void {
    if (this.#enabled && this.#drawnAtMs > 0) this.#stream.write('\r\x1b[K');
    this.#drawnAtMs = Number.NEGATIVE_INFINITY;
  }
}

/** The progress line: bar, percent, speed, time left; a frame count where the length is unknown. */
export function progressText({ stage, frames, totalFrames, fps, etaMs }: BlurProgress): string {
  if (stage === 'starting') return 'starting';
  const what = stage === 'analysing' ? 'looking for people  ' : '';
  const speed = fps > 0 ? `  ${Math.round(fps)} fps` : '';
  if (!totalFrames) return `${what}${frames} frames${speed}${stage === 'finishing' ? '  finishing' : ''}`;
  const share = Math.min(1, frames / totalFrames);
  const full = Math.round(share * BAR_CELLS);
  const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const left = stage === 'finishing' ? '  finishing' : etaMs === null ? '' : `  ${clock(etaMs)} left`;
  return `${what}${bar} ${percent}${speed}${left}`;
}

/** `1:05` for 65 000 ms; hours only where there are any. */
export function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, '0'));
  const hours = Math.floor(seconds / 3600);
  return hours > 0 ? `${hours}:${parts.join(':')}` : parts.join(':').replace(/^0/, '');
}
