import { spawnSync } from 'node:child_process';
import type { WorkerPackage } from './locate.ts';

const RELEASES = 'https://github.com/versatica/mediasoup/releases/download';
/** A published archive has about 10 MB, the program in it 30. */
const MAX_ARCHIVE_BYTES = 64 * 1024 ** 2;
const MAX_PROGRAM_BYTES = 256 * 1024 ** 2;
/** Without the internet nobody should have to wait for long. */
const ANSWER_LIMIT_MS = 5_000;
const DOWNLOAD_LIMIT_MS = 120_000;
const EXTRACT_LIMIT_MS = 60_000;
const MAX_REDIRECTS = 5;

/**
 * Fetches the worker that mediasoup publishes for this machine.
 * @param fetcher like the global fetch
 * @returns the program, not checked, or null where it can't be had: no network, or none for this machine
 */
export async function fetchPrebuilt(
  { version, prebuiltName }: WorkerPackage,
  fetcher: typeof fetch = fetch,
): Promise<Uint8Array | null> {
  const archive = await fetchArchive(`${RELEASES}/${version}/${prebuiltName}`, fetcher).catch(() => null);
  return archive && extractWorker(archive);
}

async function fetchArchive(address: string, fetcher: typeof fetch): Promise<Uint8Array | null> {
  const whole = AbortSignal.timeout(DOWNLOAD_LIMIT_MS);
  const silent = new AbortController();
  const timer = setTimeout(() => silent.abort(), ANSWER_LIMIT_MS);
  try {
    const signal = AbortSignal.any([whole, silent.signal]);
    const response = await follow(address, (url) => fetcher(url, { redirect: 'manual', signal }));
    clearTimeout(timer);
    return response && (await readBounded(response));
  } finally {
    clearTimeout(timer);
  }
}

/** Goes where redirects lead, by HTTPS alone: what is fetched is a program. */
async function follow(address: string, get: (url: URL) => Promise<Response>): Promise<Response | null> {
  let url = new URL(address);
  for (let hops = 0; hops <= MAX_REDIRECTS && url.protocol === 'https:'; hops++) {
    const response = await get(url);
    if (response.ok) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || !location) return null;
    url = new URL(location, url);
  }
  return null;
}

async function readBounded(response: Response): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the body, and with it the connection.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ARCHIVE_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Takes the one file out of the archive through a pipe, so that no other name in it is ever written. */
function extractWorker(archive: Uint8Array): Uint8Array | null {
  const done = spawnSync('tar', ['-xzO', '-f', '-', 'mediasoup-worker'], {
    input: archive,
    maxBuffer: MAX_PROGRAM_BYTES,
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: EXTRACT_LIMIT_MS,
  });
  return done.status === 0 && done.stdout.length > 0 ? done.stdout : null;
}
