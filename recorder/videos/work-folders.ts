import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

const NAME = /^(.+)@(\d+)@/;
/** What lies here for longer is nobody's: no job takes so long. */
const MAX_AGE_MS = 48 * 3_600_000;

/**
 * Folders for what jobs have on disk while they run, below one of this process's own. What processes that were killed
 * left is erased by the next that starts.
 */
export class WorkFolders {
  readonly #root: string;
  readonly #own: string;

  /** @param root shared by all processes that use the same DATA_DIR @throws Error of the file system */
  static async open(root: string): Promise<WorkFolders> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const folders = new WorkFolders(root);
    await folders.#sweep();
    return folders;
  }

  private constructor(root: string) {
    this.#root = root;
    this.#own = join(root, `${hostname()}@${process.pid}@${randomUUID()}`);
  }

  /** Makes an empty folder. Its user removes it. */
  async make(name: string): Promise<string> {
    const path = this.pathOf(name);
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Erases a folder with all that is in it; without effect where there is none. */
  async remove(name: string): Promise<void> {
    await rm(this.pathOf(name), { recursive: true, force: true });
  }

  pathOf(name: string): string {
    return join(this.#own, name);
  }

  /** Erases all of this process's. */
  async close(): Promise<void> {
    await rm(this.#own, { recursive: true, force: true });
  }

  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const path = join(this.#root, name);
      if (await isAbandoned(name, path)) await rm(path, { recursive: true, force: true });
    }
  }
}

/** Whether the process that made it is gone. Of another machine that shares the disk nobody knows but by age. */
async function isAbandoned(name: string, path: string): Promise<boolean> {
  const [, host, pid] = NAME.exec(name) ?? [];
  if (host === undefined) return false;
  const found = await stat(path).catch(() => null);
  if (!found) return false;
  if (Date.now() - found.mtimeMs > MAX_AGE_MS) return true;
  if (host !== hostname()) return false;
  // In a container every process may have the number that the one before had.
  if (Number(pid) === process.pid) return found.birthtimeMs < Date.now() - process.uptime() * 1000;
  return !isRunning(Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
