import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Whether this system tells of its processes in files. */
export const hasProc = existsSync('/proc/self/stat');

/** @returns the ids of the processes that a process started and whose command line holds `text` */
export function childrenOf(parent: number, text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((id) => {
      const stat = readProc(id, 'stat');
      // The second field is a name in parentheses that may hold anything; state and parent follow it.
      return (
        stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(parent) && readProc(id, 'cmdline').includes(text)
      );
    });
}

/** A process that has ended and waits to be asked for its exit code counts as gone. */
export function isAlive(id: number): boolean {
  const stat = readProc(id, 'stat');
  return stat !== '' && stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
}

function readProc(id: number, file: string): string {
  try {
    return readFileSync(`/proc/${id}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
