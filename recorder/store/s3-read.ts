import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecorderError } from '../errors.ts';
import { hasCode, storeErrorOf } from './s3-errors.ts';
import type { RetryLimits } from './s3-retry.ts';

export interface ResumingOptions {
  /** The bytes from `from` to `to`, as far as they come. */
  readonly first: Readable;
  readonly from: number;
  /** The last byte, counted in; below `from` where there is none. */
  readonly to: number;
  /** Asks for the rest anew, of the same content. */
  readonly again: (from: number, to: number) => Promise<Readable>;
  readonly retry: RetryLimits;
  readonly signal: AbortSignal;
}

/**
 * The bytes of an answer, which go on in a further one where the connection breaks or stalls. Fails with RecorderError
 * where that brings no byte for all attempts.
 */
export function resumingStream(options: ResumingOptions): Readable {
  const reading = { answer: options.first };
  const stream = Readable.from(resuming(options, reading), { objectMode: false, signal: options.signal });
  // A generator that was never read from ends without ending what it would have read.
  return stream.once('close', () => reading.answer.destroy());
}

async function* resuming(
  { from, to, again, retry, signal }: ResumingOptions,
  reading: { answer: Readable },
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = from;
  let failures = 0;
  let chunks = reading.answer[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  while (at <= to) {
    let chunk: Uint8Array | null = null;
    try {
      const { done, value } = await chunks.next();
      if (done) throw Object.assign(new Error('the answer ended early'), { code: 'ECONNRESET' });
      chunk = value;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const known = storeErrorOf(error);
      if (!hasCode(known, 'store-unreachable') || ++failures >= retry.maxAttempts) throw known;
    }
    if (chunk) {
      failures = 0;
      at += chunk.byteLength;
      yield chunk;
      continue;
    }
    const bound = Math.min(retry.maxDelayMs, retry.baseDelayMs * 2 ** (failures - 1));
    await sleep(Math.random() * bound, undefined, { signal });
    try {
      reading.answer = await again(at, to);
      chunks = reading.answer[Symbol.asyncIterator]();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw changed(storeErrorOf(error));
    }
  }
}

/** RFC 9110 §13.1.1: the content is another one than that of the first answer. */
function changed(error: unknown): unknown {
  const { name } = ((error as Error).cause ?? {}) as Partial<Error>;
  if (name !== 'PreconditionFailed') return error;
  return new RecorderError('checksum-mismatch', 'the object was replaced while it was read', { cause: error });
}
