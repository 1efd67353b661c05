import { createWriteStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { GatewayError } from '../errors.ts';

export interface UploadOptions {
  readonly maxBytes: number;
  /** An upload that brings no byte for this long is given up. */
  readonly idleMs: number;
  /** Aborted when the server closes. */
  readonly signal: AbortSignal;
}

/**
 * Streams a request body into a new file that only this user can read. A file left incomplete is the caller's to erase.
 * @throws GatewayError 'upload-empty' | 'upload-incomplete' | 'upload-too-large' | 'storage-full' | 'closed' | 'internal'
 */
export async function writeUpload(body: ReadableStream, path: string, options: UploadOptions): Promise<void> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), options.idleMs);
  let bytes = 0;
  try {
    // A Transform and not a generator: an abort must reach a source that waits for bytes.
    const limit = new Transform({
      transform(chunk: Uint8Array, _encoding, done) {
        timer.refresh();
        bytes += chunk.byteLength;
        if (bytes > options.maxBytes) done(tooLarge(options.maxBytes));
        else done(null, chunk);
      },
    });
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    await pipeline(Readable.fromWeb(body), limit, file, { signal: AbortSignal.any([options.signal, idle.signal]) });
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    if (options.signal.aborted)
      throw new GatewayError('closed', 'the server is shutting down', { retryAfterSeconds: 5 });
    throw asUploadError(error);
  } finally {
    clearTimeout(timer);
  }
  if (bytes === 0) throw new GatewayError('upload-empty', 'the upload holds no data; send the file as the body');
}

/** The refusal of a clip larger than `maxBytes`. */
export function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError(
    'upload-too-large',
    `the clip is larger than ${sizeText(maxBytes)}, the limit of this server`,
  );
}

function asUploadError(error: unknown): GatewayError {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new GatewayError('storage-full', 'the disk of this server is full', { retryAfterSeconds: 60, cause: error });
  }
  if (syscall === 'open' || syscall === 'write') {
    return new GatewayError('internal', 'the server could not store the clip', { cause: error });
  }
  return new GatewayError('upload-incomplete', 'the upload stopped before its end', { cause: error });
}

function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}
