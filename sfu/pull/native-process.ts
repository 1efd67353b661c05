import { type ChildProcess, fork, type Serializable } from 'node:child_process';

/** What a crashed process said last is kept up to this many characters. */
const STDERR_TAIL = 500;

export interface NativeProcessHooks {
  onMessage(message: unknown): void;
  /** It is gone: killed, crashed, or never there. Called once, and last. @param lastWords empty when it said nothing */
  onExit(how: string, lastWords: string): void;
}

/**
 * A forked process for native code that talks to strangers. It gets nothing of our environment, can be killed at any
 * moment, and ends with its parent.
 */
export class NativeProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #lastWords = '';

  /** @param entry path of the module that it runs */
  constructor(entry: string, hooks: NativeProcessHooks) {
    this.#child = fork(entry, {
      serialization: 'advanced',
      execArgv: [],
      // One heap a thread, glibc's habit, would keep tens of megabytes that nobody uses.
      env: { MALLOC_ARENA_MAX: '2' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-STDERR_TAIL);
    });
    this.#child.on('message', (message) => hooks.onMessage(message));
    this.#exited = new Promise((fulfil) => {
      const ended = (how: string): void => {
        fulfil();
        hooks.onExit(how, this.#lastWords.trim());
      };
      let failed = false;
      this.#child.once('close', (code, signal) => failed || ended(String(signal ?? code)));
      this.#child.on('error', (error) => {
        if (this.#child.pid !== undefined) {
          // A message that did not reach it: it is ending, or is no use any more.
          this.#child.kill('SIGKILL');
          return;
        }
        failed = true;
        ended(error.message);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when it is gone. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Drops the message when the process is gone. */
  send(message: Serializable): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Resolves when it is gone. */
  kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.#exited;
  }
}
