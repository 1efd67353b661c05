import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { RecorderError } from '../errors.ts';
import type { ObjectHead } from './object-store.ts';

/** Follows an object's name in its files' names; in no key, so that no key names them. */
const MARK = '@';
const META = `${MARK}meta`;
const DATA = /^(.+)@([0-9a-f]{32})$/;
const UNFINISHED_META = /^.+@[0-9a-f]{32}\.meta$/;
const DATA_ID_BYTES = 16;
/** A folder that another process finds empty goes away between its making and its use: again then. */
const ATTEMPTS = 5;

/** What is kept beside an object's bytes. */
const META_SCHEMA = z.object({
  version: z.literal(1),
  /** Which of the files of its name holds its bytes. */
  data: z.string().regex(/^[0-9a-f]{32}$/),
  size: z.int().nonnegative(),
  contentType: z.string(),
  /** In hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since 1970. */
  storedAt: z.number(),
});
export type Meta = Readonly<z.infer<typeof META_SCHEMA>>;

/** A file of an object's bytes that no key leads to yet. */
export interface NewData {
  readonly id: string;
  readonly path: string;
}

/** For its owner alone, as all that is below it. */
export const FOLDER_MODE = 0o700;
export const FILE_MODE = 0o600;

/**
 * Objects in a folder: of the object `a/b/c` its bytes in `a/b/c@ID` and, in `a/b/c@meta`, which ID it is. The rename of
 * the latter is what stores, replaces or (removed) deletes the object; bytes are there before it and go after it.
 */
export class LocalLayout {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes an empty file for the bytes of an object, and the folders above it. The caller writes it or erases it. */
  async newData(key: string): Promise<NewData> {
    const id = randomBytes(DATA_ID_BYTES).toString('hex');
    const path = `${this.#pathOf(key)}${MARK}${id}`;
    for (let attempt = 1; ; attempt++) {
      await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
      try {
        await (await open(path, 'wx', FILE_MODE)).close();
        return { id, path };
      } catch (error) {
        if (!isMissing(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Makes new bytes, which are on the disk already, the object's, and erases those before. */
  async commit(key: string, { id, path }: NewData, about: Omit<Meta, 'version' | 'data' | 'storedAt'>): Promise<Meta> {
    const meta: Meta = { version: 1, data: id, ...about, storedAt: Date.now() };
    const before = await this.meta(key).catch(() => null);
    const unfinished = `${path}.meta`;
    try {
      const file = await open(unfinished, 'wx', FILE_MODE);
      try {
        await file.writeFile(JSON.stringify(meta));
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(unfinished, `${this.#pathOf(key)}${META}`);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
    await syncFolder(dirname(path));
    if (before) await rm(this.dataPath(key, before), { force: true });
    return meta;
  }

  /** @returns null where there is no such object */
  async meta(key: string): Promise<Meta | null> {
    let text: string;
    try {
      text = await readFile(`${this.#pathOf(key)}${META}`, 'utf8');
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    return parseMeta(text);
  }

  dataPath(key: string, meta: Meta): string {
    return `${this.#pathOf(key)}${MARK}${meta.data}`;
  }

  /** @returns whether there was one */
  async delete(key: string): Promise<boolean> {
    const meta = await this.meta(key).catch(() => null);
    const path = this.#pathOf(key);
    try {
      await rm(`${path}${META}`);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    if (meta) await rm(this.dataPath(key, meta), { force: true });
    await this.#prune(dirname(path));
    return true;
  }

  /** The keys that begin with `prefix`, which ends with a slash, and come after `after`; in their order. */
  async *keys(prefix: string, after = ''): AsyncGenerator<string, void, undefined> {
    // As in the keys themselves, a folder's name is followed by a slash.
    const named = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name.slice(0, -META.length));
    const entries = (await this.#entries(prefix))
      .filter((entry) => entry.isDirectory() || entry.name.endsWith(META))
      .map(named)
      .sort();
    for (const name of entries) {
      const key = `${prefix}${name}`;
      if (!name.endsWith('/')) {
        if (key > after) yield key;
      } else if (key > after || after.startsWith(key)) {
        yield* this.keys(key, after);
      }
    }
  }

  /** Erases files that no key leads to and that were last written to before `before`. @returns how many */
  async sweep(before: Date, folder = ''): Promise<number> {
    let erased = 0;
    for (const entry of await this.#entries(folder)) {
      const path = join(this.#root, folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name.startsWith(MARK)) continue;
        erased += await this.sweep(before, `${folder}${entry.name}/`);
        await this.#prune(path);
        continue;
      }
      const data = DATA.exec(entry.name);
      if (!data && !UNFINISHED_META.test(entry.name)) continue;
      if (data && (await this.meta(`${folder}${data[1]}`).catch(() => null))?.data === data[2]) continue;
      if (await eraseIfOld(path, before)) erased++;
    }
    return erased;
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(join(this.#root, folder), { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Removes a folder and those above it for as long as they are empty. */
  async #prune(folder: string): Promise<void> {
    for (let path = folder; path.length > this.#root.length; path = dirname(path)) {
      try {
        await rmdir(path);
      } catch {
        // It holds something, or somebody else was first: either way it is nobody's any more, or needed.
        return;
      }
    }
  }

  #pathOf(key: string): string {
    return join(this.#root, key);
  }
}

export function headOf(key: string, meta: Meta): ObjectHead {
  const { size, contentType, sha256, storedAt } = meta;
  return { key, size, etag: etagOf(sha256), modifiedAt: new Date(storedAt), contentType, sha256 };
}

/** The tag of content: half of its SHA-256. @param sha256 in hex */
export function etagOf(sha256: string): string {
  return `"${sha256.slice(0, 32)}"`;
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** A file's new name survives a loss of power only with its folder. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Erases a file or a folder that was last changed before `before`. @returns whether it did */
export async function eraseIfOld(path: string, before: Date): Promise<boolean> {
  try {
    const file = await open(path, 'r');
    const { mtimeMs } = await file.stat().finally(() => file.close());
    if (mtimeMs >= before.getTime()) return false;
    await rm(path, { recursive: true });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function parseMeta(text: string): Meta {
  try {
    return META_SCHEMA.parse(JSON.parse(text));
  } catch (error) {
    throw new RecorderError('checksum-mismatch', 'what is kept of this object is damaged', { cause: error });
  }
}
