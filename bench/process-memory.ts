import { readdirSync, readFileSync } from 'node:fs';

const SAMPLE_INTERVAL_MS = 100;

/** The memory that a process and all its descendants hold together, sampled while they run. Linux only. */
export class ProcessTreeMemory {
  readonly #root: number;
  readonly #timer: NodeJS.Timeout;
  #peakKiB = 0;
  #samples = 0;

  /** Starts to sample. @param root the process at the top; a shell that only waits may be counted in */
  constructor(root: number) {
    this.#root = root;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS);
  }

  /** Stops. @returns the highest sum of proportional set sizes in MiB; null where nothing could be read */
  stop(): number | null {
    clearInterval(this.#timer);
    return this.#samples > 0 ? this.#peakKiB / 1024 : null;
  }

  #sample(): void {
    let sum = 0;
    for (const pid of treeOf(this.#root)) sum += proportionalKiB(pid);
    if (sum === 0) return;
    this.#samples++;
    this.#peakKiB = Math.max(this.#peakKiB, sum);
  }
}

/** Reads a file of /proc; empty where the process has ended, or is not ours to read. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}

/** Shared pages count by their share, so that the sum over processes counts no page twice. */
function proportionalKiB(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readProc(`${pid}/smaps_rollup`))?.[1] ?? 0);
}

function parentOf(pid: number): number {
  const stat = readProc(`${pid}/stat`);
  // The command's name stands in parentheses and may hold spaces: the parent is the second field after it.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function treeOf(root: number): Set<number> {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = parentOf(pid);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = new Set([root]);
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child);
  return tree;
}
