import type { ReadableStream, ReadableStreamDefaultReader } from 'node:stream/web';
import { GatewayError } from '../errors.ts';
import type { Admission } from './intake.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** A body that brings no byte for this long is given up. */
  readonly idleMs: number;
  /** So is one that has not ended by then. */
  readonly totalMs: number;
}

/**
 * Reads a request's body whole.
 * @param declared its Content-Length, to refuse a large one before a byte is read
 * @param signal aborts when the client goes away
 * @throws GatewayError 'body-too-large' | 'upload-incomplete' | 'too-many'
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  declared: string | undefined,
  admission: Admission,
  { maxBytes, idleMs, totalMs }: BodyLimits,
  signal: AbortSignal,
): Promise<Buffer> {
  if (Number(declared ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (!body) return Buffer.alloc(0);
  const reader = body.getReader();
  const givenUp = new AbortController();
  const idle = setTimeout(() => givenUp.abort(), idleMs);
  const ends = AbortSignal.any([signal, givenUp.signal, AbortSignal.timeout(totalMs)]);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await readUntil(reader, ends);
      if (done) return Buffer.concat(chunks, length);
      idle.refresh();
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      admission.hold(value.length);
      chunks.push(value);
    }
  } catch (error) {
    // Not awaited: a client that is slow to send is slow to stop.
    reader.cancel().catch(() => undefined);
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('upload-incomplete', 'the body stopped before its end', { cause: error });
  } finally {
    clearTimeout(idle);
  }
}

type Read = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>>;

/** The next bytes, or the reason why nobody waits for them any more. */
function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, ends: AbortSignal): Promise<Read> {
  return new Promise((resolve, reject) => {
    const end = () => reject(ends.reason);
    if (ends.aborted) return end();
    ends.addEventListener('abort', end, { once: true });
    reader
      .read()
      .then(resolve, reject)
      .finally(() => ends.removeEventListener('abort', end));
  });
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('body-too-large', `the body is larger than ${maxBytes} bytes`);
}
