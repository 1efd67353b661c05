import { fork } from 'node:child_process';
import { join } from 'node:path';
import { RecorderError } from '../errors.ts';
import type { FingerprintMessage, FingerprintRequest } from './fingerprint-process.ts';

/** Frames that are looked at, each in the middle of as long a part of the video. */
const SAMPLES = 5;
/** A frame is made so small: each row tells by eight differences, one after the other, where it gets brighter. */
const [WIDTH, HEIGHT] = [9, 8];
const HASH_DIGITS = ((WIDTH - 1) * HEIGHT) / 4;
/** Of 64 differences so many may be others where two frames show nearly the same: copies made smaller or coarser differ by few. */
const MAX_DISTANCE = 8;
/** Lengths of two that are nearly the same differ by less than this part, or by half a second. */
const MAX_LENGTH_RATIO = 0.02;
const MAX_LENGTH_MS = 500;

/** It is only a hint: no longer than this is waited for it. */
const LIMIT_MS = 120_000;

/** How a video looks, by some of its frames. */
export interface Look {
  readonly fingerprint: string;
  readonly durationMs: number;
}

/**
 * Sums up how a video looks, so that copies in another size, codec or quality are alike: difference hashes of a few
 * frames, one after the other, in hex. Tells nothing of who is in it. The file is a stranger's, and looked into by a
 * process of its own.
 * @throws RecorderError 'bad-media'; the signal's reason
 */
export async function fingerprintOf(path: string, durationMs: number, signal: AbortSignal): Promise<string> {
  const times = Array.from({ length: SAMPLES }, (_, i) => ((i + 0.5) * durationMs) / SAMPLES / 1000);
  const pictures = await picturesAt({ path, times, width: WIDTH, height: HEIGHT }, signal);
  return pictures.map(hashOf).join('');
}

/** Whether two videos show nearly the same. */
export function isSimilar(a: Look, b: Look): boolean {
  const apartMs = Math.abs(a.durationMs - b.durationMs);
  if (apartMs > Math.max(MAX_LENGTH_MS, MAX_LENGTH_RATIO * Math.max(a.durationMs, b.durationMs))) return false;
  if (a.fingerprint.length !== SAMPLES * HASH_DIGITS || b.fingerprint.length !== a.fingerprint.length) return false;
  return Array.from({ length: SAMPLES }, (_, i) => i * HASH_DIGITS).every(
    (at) =>
      distance(a.fingerprint.slice(at, at + HASH_DIGITS), b.fingerprint.slice(at, at + HASH_DIGITS)) <= MAX_DISTANCE,
  );
}

/** How many bits of two numbers in hex differ. */
function distance(a: string, b: string): number {
  let bits = BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
  let count = 0;
  for (; bits > 0n; bits &= bits - 1n) count++;
  return count;
}

function hashOf(luma: Uint8Array): string {
  let bits = 0n;
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH - 1; x++) {
      const at = y * WIDTH + x;
      bits = (bits << 1n) | (luma[at + 1]! > luma[at]! ? 1n : 0n);
    }
  }
  return bits.toString(16).padStart(HASH_DIGITS, '0');
}

async function picturesAt(request: FingerprintRequest, signal: AbortSignal): Promise<readonly Uint8Array[]> {
  signal.throwIfAborted();
  const child = fork(join(import.meta.dirname, 'fingerprint-process.ts'), {
    env: {},
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const over = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  const kill = () => child.kill('SIGKILL');
  over.addEventListener('abort', kill, { once: true });
  try {
    return await new Promise<readonly Uint8Array[]>((fulfil, reject) => {
      let answer: FingerprintMessage = null;
      child.once('message', (message: FingerprintMessage) => {
        answer = message;
        kill();
      });
      child.once('error', reject);
      child.once('close', () => {
        if (answer) fulfil(answer);
        else if (signal.aborted) reject(signal.reason);
        else reject(new RecorderError('bad-media', 'there are no pictures to sum the video up by'));
      });
      child.send(request, (error) => error && kill());
    });
  } finally {
    over.removeEventListener('abort', kill);
  }
}
