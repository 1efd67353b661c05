import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaceRange } from './face-ranges.ts';
import type { StoredSegment } from './recording.ts';

/** What was packaged and the store may not have yet. */
export interface SpooledSegment extends StoredSegment {
  readonly faces: readonly FaceRange[];
}

/** Of what a process that died was recording. */
export interface SpoolHead {
  readonly id: string;
  readonly stream: string;
  readonly startedAt: Date;
  /** Whether it is a recording, or only what viewers of the live stream can go back to. */
  readonly isKept: boolean;
  /** It ended, and nothing more comes. */
  readonly isEnded: boolean;
  /** Why something of it was lost. */
  readonly reason: string | null;
}

const HEAD = 'head.json';
const SEGMENT = /^(\d{1,9})\.json$/;

/**
 * A folder of one recording, in which segments wait for the store: what is in it outlives the process. A segment is
 * there whole or not at all; its description is written after it.
 */
export class SegmentSpool {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async open(head: SpoolHead): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.writeHead(head);
  }

  async writeHead(head: SpoolHead): Promise<void> {
    await this.#write(HEAD, JSON.stringify(head));
  }

  /** @returns null where the folder holds none, as its process died in the first moment */
  async readHead(): Promise<SpoolHead | null> {
    try {
      const head = JSON.parse(await readFile(join(this.folder, HEAD), 'utf8')) as SpoolHead;
      return { ...head, startedAt: new Date(head.startedAt) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  async writeInit(part: number, data: Uint8Array): Promise<void> {
    await this.#write(`init-${part}`, data);
  }

  /** @returns null where the store has it already */
  async readInit(part: number): Promise<Buffer | null> {
    return readIfThere(join(this.folder, `init-${part}`));
  }

  async dropInit(part: number): Promise<void> {
    await rm(join(this.folder, `init-${part}`), { force: true });
  }

  async write(segment: SpooledSegment, data: Uint8Array): Promise<void> {
    await this.#write(`${segment.number}.m4s`, data);
    await this.#write(`${segment.number}.json`, JSON.stringify(segment));
  }

  /** @returns null where it is gone */
  async read({ number }: SpooledSegment): Promise<Buffer | null> {
    return readIfThere(join(this.folder, `${number}.m4s`));
  }

  /** The store has it. */
  async drop({ number }: SpooledSegment): Promise<void> {
    await rm(join(this.folder, `${number}.json`), { force: true });
    await rm(join(this.folder, `${number}.m4s`), { force: true });
  }

  /** All that wait, in order. */
  async list(): Promise<SpooledSegment[]> {
    const names = (await readdir(this.folder)).filter((name) => SEGMENT.test(name));
    const numbers = names.map((name) => Number(SEGMENT.exec(name)![1])).sort((a, b) => a - b);
    const read = (number: number) => readFile(join(this.folder, `${number}.json`), 'utf8');
    return Promise.all(numbers.map(async (number) => JSON.parse(await read(number)) as SpooledSegment));
  }

  async erase(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #write(name: string, data: Uint8Array | string): Promise<void> {
    const path = join(this.folder, name);
    await writeFile(`${path}.tmp`, data, { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
