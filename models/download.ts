import { ModelError } from './errors.ts';

export interface DownloadOptions {
  /** A body longer than this is given up at once, so that a wrong address cannot fill the memory. */
  maxBytes: number;
  /** Longest the whole download may take. */
  timeoutMs: number;
  /** The caller's: aborting it rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Fetches a file into memory. Does not check what it is.
 * @throws ModelError 'not-found' when the address cannot be reached, answers with an error or is too slow |
 *   'checksum-mismatch' when there is more than `maxBytes`
 */
export async function download(url: string, options: DownloadOptions): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw new ModelError('not-found', `${url} answered ${response.status} ${response.statusText}`.trimEnd());
    }
    return await readBounded(response, options.maxBytes);
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    options.signal?.throwIfAborted();
    const reason = timeout.aborted ? `not complete after ${options.timeoutMs} ms` : rootMessage(cause);
    throw new ModelError('not-found', `${url}: ${reason}`, { cause });
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop by a throw cancels the body, and with it the connection.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new ModelError('checksum-mismatch', `${response.url} sends more than the expected ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** fetch says 'fetch failed' and keeps what happened in its cause. */
function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? rootMessage(error.cause) : error.message;
}
