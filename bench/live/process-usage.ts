import { readdirSync, readFileSync } from 'node:fs';

/** /proc counts in hundredths of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What a process of the server is for. */
export type Role = 'gateway' | 'media worker' | 'engine' | 'other';

export interface ProcessUsage {
  readonly pid: number;
  readonly role: Role;
  /** User and system time since it started. */
  readonly cpuSeconds: number;
  /** Proportional set size. */
  readonly pssMiB: number;
  /** What of it is the process's own memory, not files: nobody else's processes change that. */
  readonly anonymousMiB: number;
}

/** The server's process and all its descendants. Linux only. */
export function serverProcesses(root: number): ProcessUsage[] {
  return [...treeOf(root)].flatMap((pid) => {
    const usage = usageOf(pid);
    return usage === null ? [] : [{ ...usage, role: pid === root ? 'gateway' : roleOf(pid) }];
  });
}

/** Null where it has ended. */
export function usageOf(pid: number): Omit<ProcessUsage, 'role'> | null {
  const fields = statOf(pid);
  if (!fields) return null;
  const rollup = readProc(`${pid}/smaps_rollup`);
  const pss = Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  const anonymous = Number(/^Pss_Anon:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  // utime and stime are the 14th and 15th field of the line, the 12th and 13th after the name.
  const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  return { pid, cpuSeconds, pssMiB: pss / 1024, anonymousMiB: anonymous / 1024 };
}

/** CPU seconds by role between two looks; what started in between counts whole. */
export function cpuBetween(before: readonly ProcessUsage[], after: readonly ProcessUsage[]): Record<Role, number> {
  const spent: Record<Role, number> = { gateway: 0, 'media worker': 0, engine: 0, other: 0 };
  for (const { pid, role, cpuSeconds } of after) {
    spent[role] += cpuSeconds - (before.find((one) => one.pid === pid)?.cpuSeconds ?? 0);
  }
  return spent;
}

function roleOf(pid: number): Role {
  const command = readProc(`${pid}/cmdline`);
  if (command.includes('live-engine-process')) return 'engine';
  return command.includes('mediasoup-worker') ? 'media worker' : 'other';
}

/** Empty where the process has ended, or is not ours to read. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}

/** The fields after the command's name, which stands in parentheses and may hold spaces. */
function statOf(pid: number): string[] | null {
  const stat = readProc(`${pid}/stat`);
  return stat === '' ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function treeOf(root: number): Set<number> {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? Number(statOf(pid)?.[1]) : Number.NaN;
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = new Set([root]);
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child);
  return tree;
}
