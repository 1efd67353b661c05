import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** The installed Node 24, and the command's launcher. */
export const NODE = join(process.cwd(), 'node_modules/.bin/node');
export const LAUNCHER = join(process.cwd(), 'gateway/faceblur.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly node?: string;
  readonly launcher?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What a machine without YuNet is told on each run, and these tests are not about. */
const FALLBACK_WARNING = /^faceblur: warning: yunet_n_dynamic\.onnx is in none of .*\n/m;

/** Children that tests started; `endChildren()` belongs in `afterEach`. */
const children = new Set<ChildProcess>();

/** One `faceblur` process. Its environment holds what the test gives and nothing of the tester's. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], { node = NODE, launcher = LAUNCHER, cwd, env }: RunOptions = {}) {
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(node, [launcher, ...args], {
      cwd,
      env: { PATH, HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    children.add(child);
    child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        children.delete(child);
        resolve({ code, stdout: this.stdout, stderr: this.stderr.replace(FALLBACK_WARNING, '') });
      });
    });
  }

  /** The first match of `pattern` in what was printed to stdout. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      if (this.child.exitCode !== null) throw new Error(`ended without ${pattern}: ${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export function faceblur(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return new Running(args, options).ended;
}

/** Kills what still runs and waits until it is gone. */
export async function endChildren(): Promise<void> {
  await Promise.all(
    [...children].map((child) => new Promise((resolve) => child.once('close', resolve).kill('SIGKILL'))),
  );
}
