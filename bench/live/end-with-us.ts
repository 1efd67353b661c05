import type { ChildProcess } from 'node:child_process';

/** Kills a child, by its id, should this process end before it. */
export function endWithUs(child: ChildProcess): void {
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('close', () => process.removeListener('exit', kill));
}
