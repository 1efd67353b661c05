import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach } from 'vitest';
import { findFfmpeg } from '../../../bench/ffmpeg-executable.ts';

const STDERR_TAIL = 4000;

/** An ffmpeg that runs beside the test, and is ended with it. */
export class FfmpegProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'close').then(([code]) => code as number | null);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-STDERR_TAIL);
    });
  }

  static async start(...args: string[]): Promise<FfmpegProcess> {
    const { path } = await findFfmpeg();
    const child = spawn(path, ['-v', 'info', '-nostdin', '-y', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const started = new FfmpegProcess(child);
    running.add(started);
    return started;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** @returns its exit status, null when it was killed */
  exited(): Promise<number | null> {
    return this.#exited;
  }

  async kill(signal: 'SIGKILL' | 'SIGINT' | 'SIGSTOP' = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    if (signal !== 'SIGSTOP') await this.#exited;
  }
}

const running = new Set<FfmpegProcess>();

afterEach(async () => {
  await Promise.all([...running].map((one) => one.kill()));
  running.clear();
});
