import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm or the launcher. */
const SAME_KEYPRESS_MS = 1000;

/** Turns the first signal that asks this process to end into an AbortSignal. A later, second one ends it at once. */
export class Interrupt {
  readonly #abort = new AbortController();
  readonly #receive = (signal: NodeJS.Signals) => this.#received(signal);
  #first: { readonly exitCode: number; readonly atMs: number } | null = null;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#receive);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** 128 + the signal's number, as shells have it; null when none came. */
  get exitCode(): number | null {
    return this.#first?.exitCode ?? null;
  }

  /** Gives signals their usual effect back. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#receive);
  }

  #received(signal: NodeJS.Signals): void {
    const exitCode = 128 + constants.signals[signal];
    if (this.#first === null) {
      this.#first = { exitCode, atMs: performance.now() };
      this.#abort.abort();
    } else if (performance.now() - this.#first.atMs > SAME_KEYPRESS_MS) {
      process.exit(exitCode);
    }
  }
}
