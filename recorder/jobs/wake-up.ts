/** Lets many wait until something is said to have happened. One that was said while nobody waited is kept. */
export class WakeUp {
  readonly #sleepers = new Set<() => void>();
  #pending = false;

  /** Wakes all who wait. */
  call(): void {
    this.#pending = this.#sleepers.size === 0;
    for (const wake of this.#sleepers) wake();
    this.#sleepers.clear();
  }

  /** Resolves when called, after `limitMs`, or when `signal` aborts. */
  wait(limitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#pending || signal.aborted) {
      this.#pending = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, limitMs);
      signal.addEventListener('abort', wake, { once: true });
      this.#sleepers.add(wake);
    });
  }
}
