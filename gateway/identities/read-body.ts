import type { ReadableStream } from 'node:stream/web';
import { GatewayError } from '../errors.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** A body that brings no byte for so long is given up. */
  readonly idleMs: number;
  /** So is one that has not ended by then. */
  readonly totalMs: number;
}

/**
 * Reads a request's body into memory.
 * @param declared its Content-Length; null where there is none
 * @throws GatewayError 'body-too-large' before more than `maxBytes` are held, 'upload-incomplete'
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  declared: number | null,
  { maxBytes, idleMs, totalMs }: BodyLimits,
): Promise<Buffer> {
  const tooLarge = () => new GatewayError('body-too-large', `the body is larger than ${maxBytes} bytes`);
  if (declared !== null && declared > maxBytes) throw tooLarge();
  if (!body) return Buffer.alloc(0);
  const reader = body.getReader();
  const { promise: givenUp, reject: giveUp } = Promise.withResolvers<never>();
  givenUp.catch(() => {}); // Told by the race below, where one is on.
  const slow = () => giveUp(new GatewayError('upload-incomplete', 'the upload came to a halt'));
  const idle = setTimeout(slow, idleMs);
  const total = setTimeout(slow, totalMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), givenUp]);
      if (done) return Buffer.concat(chunks, bytes);
      idle.refresh();
      bytes += value.length;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {}); // It failed already, or is of no use any more.
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('upload-incomplete', 'the upload stopped before its end', { cause: error });
  } finally {
    clearTimeout(idle);
    clearTimeout(total);
  }
}
