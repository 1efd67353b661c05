import { spawn } from 'node:child_process';
import { ProcessTreeMemory } from './process-memory.ts';

/** What one run of a command took, over all the processes it started. */
export interface ProcessCost {
  wallSeconds: number;
  /** User and system time of the process and of the children it waited for. */
  cpuSeconds: number;
  peakMiB: number | null;
}

/**
 * Runs a command in a new process and measures it. Its output is not shown.
 * @throws Error with what the command wrote where it fails
 */
export async function runTimed(command: string, args: readonly string[]): Promise<ProcessCost> {
  // Only the shell that waited for a process is told what it used; Node has no such call.
  const timing = `TIMEFORMAT='%3R %3U %3S'; time "$@"`;
  const child = spawn('bash', ['-c', timing, 'bash', command, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  let written = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written += text;
  });
  const exited = Promise.withResolvers<number | null>();
  child.once('error', exited.reject);
  child.once('close', exited.resolve);
  const memory = child.pid === undefined ? null : new ProcessTreeMemory(child.pid);
  let code: number | null;
  let peakMiB: number | null = null;
  try {
    code = await exited.promise;
  } finally {
    peakMiB = memory?.stop() ?? null;
  }
  const lines = written.trim().split('\n');
  const [wall, user, system] = lines.pop()!.split(' ').map(Number);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${lines.join('\n')}`);
  return { wallSeconds: wall!, cpuSeconds: user! + system!, peakMiB };
}
