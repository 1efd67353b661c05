/** Lets one request through at a time: many within the interval are served by one, and none is forgotten. */
export class RequestGate {
  readonly #intervalMs: number;
  readonly #serve: () => void;
  #servedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number, serve: () => void) {
    this.#intervalMs = intervalMs;
    this.#serve = serve;
  }

  request(): void {
    if (this.#timer) return;
    const waitMs = this.#servedAt + this.#intervalMs - performance.now();
    if (waitMs <= 0) this.#now();
    else this.#timer = setTimeout(() => this.#now(), waitMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #now(): void {
    this.#timer = undefined;
    this.#servedAt = performance.now();
    this.#serve();
  }
}
