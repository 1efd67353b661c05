import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { RecorderError } from '../errors.ts';
import type { GetOptions } from './object-store.ts';

/** What bytes were said to be. */
export interface Expected {
  /** In hex. */
  readonly sha256?: string | undefined;
  readonly size?: number | undefined;
  readonly maxBytes?: number | undefined;
}

/** Counts and hashes bytes as they pass, and fails where they are not what they were said to be: once, for one body. */
export class ContentCheck {
  readonly #expected: Expected;
  readonly #hash = createHash('sha256');
  #size = 0;
  #sha256: string | null = null;

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  get size(): number {
    return this.#size;
  }

  /** In hex; of all that passed, once that has ended. */
  get sha256(): string {
    if (this.#sha256 === null) throw new Error('the bytes have not ended yet');
    return this.#sha256;
  }

  /** @throws RecorderError 'too-large' at the first byte too many, 'incomplete' and 'checksum-mismatch' at the end */
  async *through(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of body) {
      this.add(chunk);
      yield chunk;
    }
    this.end();
  }

  add(chunk: Uint8Array): void {
    this.#size += chunk.byteLength;
    const { size, maxBytes } = this.#expected;
    const most = Math.min(size ?? Infinity, maxBytes ?? Infinity);
    if (this.#size > most) throw new RecorderError('too-large', `there are more than ${most} bytes`);
    this.#hash.update(chunk);
  }

  end(): void {
    const { size, sha256 } = this.#expected;
    if (size !== undefined && this.#size < size) {
      throw new RecorderError('incomplete', `there are ${this.#size} bytes and not ${size}`);
    }
    this.#sha256 = this.#hash.digest('hex');
    if (sha256 !== undefined && sha256.toLowerCase() !== this.#sha256) {
      throw new RecorderError('checksum-mismatch', 'the bytes are not those of the SHA-256 given');
    }
  }
}

/** The chunks of a body until an abort, also while it waits for one: then fails with the signal's reason. */
export async function* chunksUntil(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  const chunks = body[Symbol.asyncIterator]();
  let giveUp: (reason: unknown) => void = () => undefined;
  const abort = () => giveUp(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      // No race with one promise for all chunks: that would keep every one of them.
      const { done, value } = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        giveUp = reject;
        chunks.next().then(resolve, reject);
      });
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not awaited: what waits for its next chunk ends only after that. What it fails with then concerns nobody.
    chunks.return?.()?.catch(() => undefined);
  }
}

/** An object's bytes, which fail at their end where they are not those that the reader expects. */
export function checkedStream(bytes: Readable, { sha256, range }: GetOptions, size: number): Readable {
  if (sha256 === undefined || range) return bytes;
  const checked = Readable.from(new ContentCheck({ sha256, size }).through(bytes), { objectMode: false });
  // A generator that was never read from ends without ending what it would have read.
  return checked.once('close', () => bytes.destroy());
}
