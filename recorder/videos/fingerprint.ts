import { Writable } from 'node:stream';
import { FORMATS } from '../../inference/media/input-file.ts';
import { RecorderError } from '../errors.ts';
import { runFfmpeg } from '../recording/ffmpeg.ts';

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

/** How a video looks, by some of its frames. */
export interface Look {
  readonly fingerprint: string;
  readonly durationMs: number;
}

/**
 * Sums up how a video looks, so that copies in another size, codec or quality are alike: difference hashes of a few frames,
 * one after the other, in hex. Tells nothing of who is in it.
 * @throws RecorderError 'ffmpeg-failed'; the signal's reason
 */
export async function fingerprintOf(
  input: string,
  durationMs: number,
  ffmpegPath: string,
  signal: AbortSignal,
): Promise<string> {
  const hashes: string[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const atSeconds = ((sample + 0.5) * durationMs) / SAMPLES / 1000;
    hashes.push(hashOf(await pictureAt(input, atSeconds, ffmpegPath, signal)));
  }
  return hashes.join('');
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

function hashOf(luma: Buffer): string {
  let bits = 0n;
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH - 1; x++) {
      const at = y * WIDTH + x;
      bits = (bits << 1n) | (luma[at + 1]! > luma[at]! ? 1n : 0n);
    }
  }
  return bits.toString(16).padStart(HASH_DIGITS, '0');
}

/** The luma of the frame shown at a time, made small. */
async function pictureAt(input: string, atSeconds: number, path: string, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const output = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      if (pieces.length < WIDTH * HEIGHT) pieces.push(piece);
      done();
    },
  });
  const safe = ['-protocol_whitelist', 'file', '-format_whitelist', FORMATS];
  await runFfmpeg({
    path,
    input,
    inputOptions: [...safe, '-threads', '1', '-skip_loop_filter', 'all', '-ss', atSeconds.toFixed(3)],
    output,
    outputOptions: [
      ...['-map', '0:v:0', '-an', '-frames:v', '1'],
      ...['-vf', `scale=${WIDTH}:${HEIGHT}:flags=area,format=gray`, '-f', 'rawvideo'],
    ],
    signal,
  }).done;
  const luma = Buffer.concat(pieces);
  if (luma.length !== WIDTH * HEIGHT) {
    throw new RecorderError('ffmpeg-failed', `there is no picture at ${atSeconds.toFixed(1)} s`);
  }
  return luma;
}
