export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** An attempt that lasted so long was a success: the next wait is the first again. */
  readonly steadyMs: number;
}

export const RECONNECT: BackoffOptions = { firstMs: 500, maxMs: 30_000, steadyMs: 10_000 };

/** How long to wait before the next attempt: twice as long each time, up to a limit. */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions = RECONNECT) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** @param ranMs how long the attempt that just ended was live @returns ms to wait, half of it by chance */
  next(ranMs: number): number {
    const { firstMs, maxMs, steadyMs } = this.#options;
    if (ranMs >= steadyMs) this.#nextMs = firstMs;
    const wait = this.#nextMs;
    this.#nextMs = Math.min(maxMs, wait * 2);
    // So that what was lost together does not come back together.
    return wait / 2 + (Math.random() * wait) / 2;
  }
}
