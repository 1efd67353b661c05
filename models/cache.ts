import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ModelError } from './errors.ts';

/**
 * Writes a file so that it is there whole or not at all, also when several processes write it at once: under a
 * temporary name first, then renamed. Makes the folder.
 * @throws ModelError 'cache-unwritable'; nothing is left behind
 */
export async function writeToCache(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes, { flag: 'wx' });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const { code } = cause as NodeJS.ErrnoException;
    const remedy = 'Make the folder writable, or set XDG_CACHE_HOME to one that is';
    throw new ModelError('cache-unwritable', `${path} cannot be written (${code}). ${remedy}.`, { cause });
  }
}
