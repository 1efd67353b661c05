import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { RecorderError } from '../errors.ts';
import { ContentCheck, type Expected } from './content-check.ts';
import { eraseIfOld, etagOf, FILE_MODE, FOLDER_MODE, isMissing } from './local-layout.ts';
import { MAX_PARTS, MIN_PART_BYTES, type UploadedPart } from './object-store.ts';

const UPLOAD_ID = /^[0-9a-f]{32}$/;
const UPLOAD_ID_BYTES = 16;
/** A part's file: its number, then its tag. One that is still coming has a name that this does not match. */
const PART = /^(\d{1,5})-([0-9a-f]{32})$/;

const UPLOAD_SCHEMA = z.object({ key: z.string(), contentType: z.string() });

/** Uploads of parts, each a folder of files until it is completed or aborted. */
export class LocalMultipart {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async create(key: string, contentType: string): Promise<string> {
    const id = randomBytes(UPLOAD_ID_BYTES).toString('hex');
    const folder = join(this.#root, id);
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const file = await open(join(folder, 'upload.json'), 'wx', FILE_MODE);
    try {
      await file.writeFile(JSON.stringify({ key, contentType }));
    } finally {
      await file.close();
    }
    return id;
  }

  /** @returns the part's tag */
  async putPart(
    key: string,
    id: string,
    number: number,
    body: AsyncIterable<Uint8Array>,
    expected: Expected,
  ): Promise<string> {
    const { folder } = await this.#find(key, id);
    const unfinished = join(folder, `${number}-${randomBytes(UPLOAD_ID_BYTES).toString('hex')}.unfinished`);
    const check = new ContentCheck(expected);
    try {
      const file = await open(unfinished, 'wx', FILE_MODE);
      try {
        await writeFile(file, check.through(body));
      } finally {
        await file.close();
      }
      const before = (await readdir(folder)).filter((name) => PART.exec(name)?.[1] === `${number}`);
      const tag = etagOf(check.sha256);
      const name = `${number}-${tag.slice(1, -1)}`;
      await rename(unfinished, join(folder, name));
      for (const old of before) if (old !== name) await rm(join(folder, old), { force: true });
      return tag;
    } catch (error) {
      await rm(unfinished, { force: true });
      throw isMissing(error) ? gone() : error;
    }
  }

  /**
   * The parts of an upload as one content.
   * @throws RecorderError 'upload-not-found' | 'bad-part'
   */
  async read(
    key: string,
    id: string,
    parts: readonly UploadedPart[],
  ): Promise<{ contentType: string; size: number; body: AsyncIterable<Uint8Array> }> {
    const { folder, contentType } = await this.#find(key, id);
    const paths = checkParts(parts).map(({ number, etag }) => join(folder, `${number}-${etag}`));
    let size = 0;
    for (const [i, path] of paths.entries()) {
      const bytes = await sizeOf(path);
      if (bytes === null)
        throw new RecorderError('bad-part', `part ${parts[i]!.number} is not there, or is another one`);
      if (bytes < MIN_PART_BYTES && i < paths.length - 1) {
        throw new RecorderError('bad-part', `part ${parts[i]!.number} is smaller than ${MIN_PART_BYTES} bytes`);
      }
      size += bytes;
    }
    return { contentType, size, body: concatenated(paths) };
  }

  async abort(key: string, id: string): Promise<void> {
    const found = await this.#find(key, id).catch((error) => {
      if (error instanceof RecorderError) return null;
      throw error;
    });
    if (found) await rm(found.folder, { recursive: true, force: true });
  }

  /** Erases those to which nothing was added since `before`. @returns how many */
  async sweep(before: Date): Promise<number> {
    const ids = await readdir(this.#root).catch((error) => {
      if (isMissing(error)) return [];
      throw error;
    });
    let erased = 0;
    for (const id of ids) if (UPLOAD_ID.test(id) && (await eraseIfOld(join(this.#root, id), before))) erased++;
    return erased;
  }

  async #find(key: string, id: string): Promise<{ folder: string; contentType: string }> {
    if (!UPLOAD_ID.test(id)) throw gone();
    const folder = join(this.#root, id);
    try {
      const upload = UPLOAD_SCHEMA.parse(JSON.parse(await readFile(join(folder, 'upload.json'), 'utf8')));
      if (upload.key === key) return { folder, contentType: upload.contentType };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    throw gone();
  }
}

/**
 * The parts in order, their tags without quotes.
 * @throws RecorderError 'bad-part' where there are none or too many, or they are not in the order of their numbers
 */
export function checkParts(parts: readonly UploadedPart[]): UploadedPart[] {
  if (parts.length === 0 || parts.length > MAX_PARTS) {
    throw new RecorderError('bad-part', `an upload has 1 to ${MAX_PARTS} parts`);
  }
  return parts.map(({ number, etag }, i) => {
    if (!isPartNumber(number) || (i > 0 && number <= parts[i - 1]!.number)) {
      throw new RecorderError('bad-part', `the numbers of parts rise, from 1 to ${MAX_PARTS}`);
    }
    const tag = etag.replace(/^"(.*)"$/, '$1');
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(tag)) throw new RecorderError('bad-part', `part ${number} has a malformed etag`);
    return { number, etag: tag };
  });
}

export function isPartNumber(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= MAX_PARTS;
}

function gone(): RecorderError {
  return new RecorderError('upload-not-found', 'there is no such upload; it was completed or aborted, or is too old');
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function* concatenated(paths: readonly string[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const path of paths) yield* createReadStream(path) as AsyncIterable<Uint8Array>;
}
