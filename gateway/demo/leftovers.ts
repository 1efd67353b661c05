import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const OWNER_FILE = 'owner';

/** Marks a clip's folder as this process's own. */
export async function markOwned(folder: string): Promise<void> {
  await writeFile(join(folder, OWNER_FILE), String(process.pid), { mode: 0o600 });
}

/**
 * Erases what servers that died left in `parent`: their clips show faces. Folders of a server that still runs stay,
 * unless they are older than `maxAgeMs` (its process id may have gone to another program).
 */
export async function eraseLeftovers(parent: string, maxAgeMs: number): Promise<void> {
  for (const name of await readdir(parent)) {
    const folder = join(parent, name);
    if (!(await isInUse(folder, maxAgeMs))) await rm(folder, { recursive: true, force: true });
  }
}

async function isInUse(folder: string, maxAgeMs: number): Promise<boolean> {
  try {
    const owner = Number(await readFile(join(folder, OWNER_FILE), 'utf8'));
    if (!(owner > 0)) return false;
    process.kill(owner, 0);
    const madeAtMs = (await stat(folder)).mtimeMs;
    // In a container, the server before this one had the same process id.
    const alive = owner === process.pid ? madeAtMs > performance.timeOrigin : true;
    return alive && Date.now() - madeAtMs < maxAgeMs;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
