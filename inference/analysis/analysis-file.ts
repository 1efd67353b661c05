import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { InferenceError } from '../errors.ts';
import { asOutputError } from '../media/output-error.ts';
import type { Cover } from '../track/coverage.ts';

/*
 * One file an analysis, little endian:
 *
 *   magic (8 bytes)  width u32  height u32
 *   a record for each frame, in the order shown:
 *     length u32, of what follows up to the sum
 *     pts i64  fingerprint u32  inspected u8  faces u16
 *     each face: track u32  x f32  y f32  w f32  h f32  score f32, NaN where the box was predicted
 *     sum u32, the CRC-32 of the record from its length on
 *   end: 0xffffffff u32  frames u32
 */
const MAGIC = Buffer.from('FBfaces1', 'latin1');
const HEADER_BYTES = 16;
const FIXED_BYTES = 8 + 4 + 1 + 2;
const FACE_BYTES = 24;
const END_BYTES = 8;
const END_MARK = 0xffffffff;
/** More faces of one frame are not written down: the frame counts as one that was not inspected. */
const MAX_FACES = 4096;
const MAX_RECORD_BYTES = 4 + FIXED_BYTES + MAX_FACES * FACE_BYTES + 4;
/** Written and read in blocks of about so many bytes. */
const BLOCK_BYTES = 1 << 16;

/** One frame of an analysed file. */
export interface FrameRecord {
  /** In the time base of the file's video. */
  readonly pts: bigint;
  readonly fingerprint: number;
  /** Whether its faces are known; else it must be covered whole. */
  readonly isInspected: boolean;
  readonly faces: readonly Cover[];
}

/** Writes the faces of each frame down as they come; nothing of it stays in memory. */
export class AnalysisWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #block = Buffer.alloc(BLOCK_BYTES + MAX_RECORD_BYTES);
  #used = 0;
  #frames = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** @throws InferenceError 'output-unwritable' | 'no-space', as every method that writes */
  static async create(path: string, width: number, height: number): Promise<AnalysisWriter> {
    const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw asOutputError(error, path);
    });
    const writer = new AnalysisWriter(file, path);
    MAGIC.copy(writer.#block);
    writer.#block.writeUInt32LE(width, 8);
    writer.#block.writeUInt32LE(height, 12);
    writer.#used = HEADER_BYTES;
    return writer;
  }

  async add({ pts, fingerprint, isInspected, faces }: FrameRecord): Promise<void> {
    const known = isInspected && faces.length <= MAX_FACES;
    const written = known ? faces : [];
    const block = this.#block;
    const start = this.#used;
    let at = block.writeUInt32LE(FIXED_BYTES + written.length * FACE_BYTES, start);
    at = block.writeBigInt64LE(pts, at);
    at = block.writeUInt32LE(fingerprint, at);
    at = block.writeUInt8(known ? 1 : 0, at);
    at = block.writeUInt16LE(written.length, at);
    for (const { track, box, score } of written) {
      at = block.writeUInt32LE(track, at);
      for (const value of [box.x, box.y, box.w, box.h, score ?? Number.NaN]) at = block.writeFloatLE(value, at);
    }
    this.#used = block.writeUInt32LE(crc32(block.subarray(start, at)), at);
    this.#frames++;
    if (this.#used >= BLOCK_BYTES) await this.#flush();
  }

  /** Writes the end, without which nothing can be read, and closes the file. */
  async finish(): Promise<void> {
    const at = this.#block.writeUInt32LE(END_MARK, this.#used);
    this.#used = this.#block.writeUInt32LE(this.#frames, at);
    await this.#flush();
    await this.close();
  }

  async close(): Promise<void> {
    await this.#file.close().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EBADF') throw error;
    });
  }

  async #flush(): Promise<void> {
    try {
      await this.#file.appendFile(this.#block.subarray(0, this.#used));
    } catch (error) {
      throw asOutputError(error, this.#path);
    }
    this.#used = 0;
  }
}

/** Reads an analysis frame by frame. */
export class AnalysisReader {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly #file: FileHandle;
  readonly #block = Buffer.alloc(BLOCK_BYTES + MAX_RECORD_BYTES);
  /** Where in the file the block's end comes from, and what part of the block is still to be read. */
  #position = HEADER_BYTES;
  #from = 0;
  #to = 0;
  #read = 0;
  #isSpoiled = false;

  private constructor(file: FileHandle, width: number, height: number, frames: number) {
    this.#file = file;
    this.width = width;
    this.height = height;
    this.frames = frames;
  }

  /** @throws InferenceError 'input-missing' | 'input-unreadable' where it can't be read, is none, or has no end */
  static async open(path: string): Promise<AnalysisReader> {
    const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'ENOENT' ? 'input-missing' : 'input-unreadable';
      throw new InferenceError(code, `analysis ${path} can't be read (${cause.code})`, { cause });
    });
    try {
      const { size } = await file.stat();
      const header = Buffer.alloc(HEADER_BYTES);
      const end = Buffer.alloc(END_BYTES);
      if (size >= HEADER_BYTES + END_BYTES) {
        await file.read(header, 0, HEADER_BYTES, 0);
        await file.read(end, 0, END_BYTES, size - END_BYTES);
      }
      const isWhole = header.subarray(0, MAGIC.length).equals(MAGIC) && end.readUInt32LE(0) === END_MARK;
      if (!isWhole) {
        throw new InferenceError('input-unreadable', `${path} is no analysis of a video, or cut off; analyse it again`);
      }
      return new AnalysisReader(file, header.readUInt32LE(8), header.readUInt32LE(12), end.readUInt32LE(4));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whether a record was found that is not as it was written: no frame from there on is known. */
  get isSpoiled(): boolean {
    return this.#isSpoiled;
  }

  /** @returns the next frame, or null where there is none or it is not as it was written */
  async next(): Promise<FrameRecord | null> {
    if (this.#isSpoiled || this.#read >= this.frames) return null;
    const record = await this.#record();
    const frame = record && parse(record);
    if (frame) this.#read++;
    else this.#isSpoiled = true;
    return frame;
  }

  async close(): Promise<void> {
    await this.#file.close().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EBADF') throw error;
    });
  }

  async #record(): Promise<Buffer | null> {
    if (!(await this.#has(4))) return null;
    const length = 4 + this.#block.readUInt32LE(this.#from) + 4;
    if (length > MAX_RECORD_BYTES || length < 4 + FIXED_BYTES + 4 || !(await this.#has(length))) return null;
    const record = this.#block.subarray(this.#from, this.#from + length);
    this.#from += length;
    return record;
  }

  /** Reads on until so many bytes are at hand. */
  async #has(bytes: number): Promise<boolean> {
    while (this.#to - this.#from < bytes) {
      this.#block.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      const { bytesRead } = await this.#file.read(this.#block, this.#to, BLOCK_BYTES, this.#position);
      if (bytesRead === 0) return false;
      this.#position += bytesRead;
      this.#to += bytesRead;
    }
    return true;
  }
}

/** @returns null where the record is not as it was written */
function parse(record: Buffer): FrameRecord | null {
  const end = record.length - 4;
  if (crc32(record.subarray(0, end)) !== record.readUInt32LE(end)) return null;
  const count = record.readUInt16LE(4 + 8 + 4 + 1);
  if (end !== 4 + FIXED_BYTES + count * FACE_BYTES) return null;
  const faces: Cover[] = [];
  for (let at = 4 + FIXED_BYTES; at < end; at += FACE_BYTES) {
    const [x, y, w, h, score] = [4, 8, 12, 16, 20].map((offset) => record.readFloatLE(at + offset)) as Five;
    faces.push({ track: record.readUInt32LE(at), box: { x, y, w, h }, score: Number.isNaN(score) ? null : score });
  }
  return {
    pts: record.readBigInt64LE(4),
    fingerprint: record.readUInt32LE(12),
    isInspected: record.readUInt8(16) === 1,
    faces,
  };
}

type Five = [number, number, number, number, number];
