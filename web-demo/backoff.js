const FIRST_MS = 500;
const LONGEST_MS = 8000;

/** How long to wait before the next attempt: longer each time, and never in step with other clients. */
export class Backoff {
  #failures = 0;

  /** @param atLeastMs what the server asked for, or null */
  next(atLeastMs = null) {
    const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    return Math.max(atLeastMs ?? 0, ms * (0.75 + Math.random() / 2));
  }

  reset() {
    this.#failures = 0;
  }
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
