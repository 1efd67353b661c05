/** Latencies of the last so many frames. */
const WINDOW = 900;

/** Quantiles over the latest frames. */
export class LatencyWindow {
  readonly #values = new Float64Array(WINDOW);
  #count = 0;

  add(ms: number): void {
    this.#values[this.#count++ % WINDOW] = ms;
  }

  /** All 0 before the first. */
  quantiles(): { readonly p50: number; readonly p95: number; readonly p99: number } {
    const sorted = this.#values.slice(0, Math.min(this.#count, WINDOW)).sort();
    const at = (q: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  }

  clear(): void {
    this.#count = 0;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
