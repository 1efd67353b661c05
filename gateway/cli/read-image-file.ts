import { open, stat } from 'node:fs/promises';
import { MAX_IMAGE_BYTES } from '../../inference/image/image-limits.ts';
import { GatewayError } from '../errors.ts';

/** Why a file can't be read, in words. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ELOOP: 'its links go round in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file',
  ENOTDIR: 'a part of the path is not a folder',
};

/**
 * Reads a picture's file whole, if it is one that may be: a regular file, not too large.
 * @throws GatewayError 'bad-argument', its message to follow the path
 */
export async function readImageFile(path: string): Promise<Uint8Array> {
  try {
    // Before it is opened: opening a pipe would wait for someone to write to it.
    const info = await stat(path);
    if (info.isDirectory()) throw new GatewayError('bad-argument', 'it is a folder, not a picture');
    if (!info.isFile()) throw new GatewayError('bad-argument', 'it is not a regular file');
    await using file = await open(path, 'r');
    // What it was a moment ago it may be no more.
    const { size } = await file.stat();
    if (size > MAX_IMAGE_BYTES) {
      throw new GatewayError('bad-argument', `it has ${size} bytes; at most ${MAX_IMAGE_BYTES} are read`);
    }
    const bytes = new Uint8Array(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new GatewayError('bad-argument', REASONS[code] ?? `it can't be read (${code})`, { cause: error });
  }
}
