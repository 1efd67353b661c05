import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findFfmpeg } from '../../../bench/ffmpeg-executable.ts';

const run = promisify(execFile);
const MAX_OUTPUT = 64 << 20;

/** Runs ffmpeg and gives what it printed. @throws Error with what it said */
export async function ffmpegOutput(...args: string[]): Promise<Buffer> {
  const { path } = await findFfmpeg();
  const { stdout } = await run(path, ['-v', 'error', '-nostdin', '-y', ...args], {
    encoding: 'buffer',
    maxBuffer: MAX_OUTPUT,
  });
  return stdout;
}

/** A moving test picture with a tone, H.264 with B-frames and AAC of 44.1 kHz, as FLV: its times are whole ms. */
export async function makeFlvClip(path: string, seconds: number, ...more: string[]): Promise<void> {
  await ffmpegOutput(
    ...['-f', 'lavfi', '-i', `testsrc2=s=320x240:r=30:d=${seconds}`],
    ...['-f', 'lavfi', '-i', `sine=f=440:r=44100:d=${seconds}`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '30', '-pix_fmt', 'yuv420p'],
    ...['-c:a', 'aac', '-b:a', '96k', ...more, '-f', 'flv', path],
  );
}

/** A hash of every decoded picture, in order of showing. */
export async function pictureHashes(path: string, ...input: string[]): Promise<string[]> {
  const text = await ffmpegOutput(
    ...input,
    '-i',
    path,
    '-map',
    '0:v:0',
    '-fps_mode',
    'passthrough',
    '-f',
    'framemd5',
    '-',
  );
  return text
    .toString()
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)!.trim());
}

/** Seconds of sound that decode without an error. */
export async function audioSeconds(path: string, ...input: string[]): Promise<number> {
  const samples = await ffmpegOutput(
    '-xerror',
    ...input,
    '-i',
    path,
    '-map',
    '0:a:0',
    '-f',
    's16le',
    '-ac',
    '1',
    '-ar',
    '48000',
    '-',
  );
  return samples.length / 2 / 48_000;
}

export interface ProbedPacket {
  readonly pts: number;
  readonly keyframe: boolean;
  readonly hash: string;
}

/** The packets of one track as ffprobe reads them, in file order; `pts` in seconds. */
export async function packetsOf(path: string, track: 'v' | 'a'): Promise<ProbedPacket[]> {
  const { path: ffmpeg } = await findFfmpeg();
  const ffprobe = ffmpeg.replace(/ffmpeg$/, 'ffprobe');
  const { stdout } = await run(
    ffprobe,
    ['-v', 'error', '-select_streams', `${track}:0`, '-show_packets', '-show_data_hash', 'sha256', '-of', 'json', path],
    { maxBuffer: MAX_OUTPUT },
  );
  const { packets } = JSON.parse(stdout) as { packets: { pts_time: string; flags: string; data_hash: string }[] };
  return packets.map(({ pts_time, flags, data_hash }) => ({
    pts: Number(pts_time),
    keyframe: flags.startsWith('K'),
    hash: data_hash.replace('SHA256:', ''),
  }));
}

/** Raw AAC frames with the header of ADTS before each (ISO/IEC 14496-3 §1.A.2.2), so that a file of them plays. */
export function adts(config: Uint8Array, frames: readonly Uint8Array[]): Buffer {
  const profile = (config[0]! >> 3) - 1;
  const rate = ((config[0]! & 7) << 1) | (config[1]! >> 7);
  const channels = (config[1]! >> 3) & 15;
  return Buffer.concat(
    frames.flatMap((frame) => {
      const length = frame.length + 7;
      const header = Buffer.of(
        ...[0xff, 0xf1, (profile << 6) | (rate << 2) | (channels >> 2)],
        ...[((channels & 3) << 6) | (length >> 11), (length >> 3) & 0xff, ((length & 7) << 5) | 0x1f, 0xfc],
      );
      return [header, frame];
    }),
  );
}
