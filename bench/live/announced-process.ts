import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { endWithUs } from './end-with-us.ts';

export interface AnnouncedProcessOptions {
  readonly name: string;
  /** Of Node. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 8000;
const MAX_LOG_LINES = 200;
/** pino's numbers. */
const WARN = 40;
const ERROR = 50;

/** A Node process that says where it listens in its first line. */
export class AnnouncedProcess {
  readonly url: string;
  readonly pid: number;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #log: string[];

  private constructor(name: string, child: ChildProcess, exited: Promise<void>, log: string[], url: string) {
    this.#name = name;
    this.#child = child;
    this.#exited = exited;
    this.#log = log;
    this.pid = child.pid!;
    this.url = url;
  }

  /** @throws Error with what it wrote where it does not come up in time */
  static async start({ name, args, env, cwd }: AnnouncedProcessOptions): Promise<AnnouncedProcess> {
    const child = spawn(process.execPath, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    endWithUs(child);
    const log: string[] = [];
    const keep = (line: string) => {
      log.push(line);
      if (log.length > MAX_LOG_LINES) log.shift();
    };
    createInterface({ input: child.stderr! }).on('line', keep);
    const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const announced = Promise.withResolvers<string>();
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const url = /http:\/\/\S+/.exec(line)?.[0];
      if (url) announced.resolve(url);
    });
    child.once('error', announced.reject);
    const timer = setTimeout(() => announced.reject(new Error('it did not start in time')), START_LIMIT_MS);
    void exited.then(() => announced.reject(new Error(`it ended with ${child.exitCode ?? child.signalCode}`)));
    try {
      return new AnnouncedProcess(name, child, exited, log, await announced.promise);
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`${name}: ${(error as Error).message}\n${log.slice(-20).join('\n')}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** What it logged as an error so far, and the latest warnings. */
  problems(): string[] {
    const level = (line: string) => Number(/"level":(\d+)/.exec(line)?.[1] ?? ERROR);
    const errors = this.#log.filter((line) => level(line) >= ERROR);
    const warnings = this.#log.filter((line) => level(line) === WARN).slice(-5);
    return [...errors, ...warnings].map((line) => `${this.#name}: ${line}`);
  }

  /** Ends it by its id, hard where it does not go. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
