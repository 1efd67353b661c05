import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasSystemFfmpeg } from '../clips/ffmpeg.ts';

/** A whole file that mutations start from. */
export interface Seed {
  /** Its container, and its ending. */
  readonly name: string;
  readonly ending: string;
  readonly bytes: Buffer;
}

/** Four people for half a second: small, so that thousands of files are quick. */
const CLIP = { width: 320, height: 180, fps: 12, seconds: 0.75 } as const;

const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '1', '-crf', '24'];
const CONTAINERS: readonly { name: string; ending: string; args: readonly string[] }[] = [
  { name: 'mp4 with its index first', ending: 'mp4', args: ['-c', 'copy', '-movflags', '+faststart'] },
  {
    name: 'mp4 in fragments',
    ending: 'mp4',
    args: [...X264, '-g', '4', '-movflags', '+frag_keyframe+empty_moov', '-an'],
  },
  { name: 'mov', ending: 'mov', args: ['-c:v', 'mjpeg', '-q:v', '4', '-c:a', 'pcm_s16le'] },
  { name: 'mkv', ending: 'mkv', args: ['-c', 'copy'] },
  { name: 'avi', ending: 'avi', args: ['-c:v', 'mpeg4', '-q:v', '4', '-c:a', 'libmp3lame'] },
  { name: 'ts', ending: 'ts', args: [...X264, '-c:a', 'aac'] },
  { name: 'flv', ending: 'flv', args: [...X264, '-c:a', 'aac'] },
  { name: 'gif', ending: 'gif', args: ['-an'] },
  { name: 'mpeg', ending: 'mpg', args: ['-r', '25', '-c:v', 'mpeg2video', '-q:v', '4', '-c:a', 'mp2'] },
  { name: 'asf', ending: 'asf', args: ['-c:v', 'wmv2', '-q:v', '4', '-c:a', 'wmav2'] },
  { name: 'h264', ending: 'h264', args: [...X264, '-an'] },
];

/** One seed of each container; without Debian's ffmpeg only those that the project writes itself. */
export async function makeSeeds(folder: string): Promise<Seed[]> {
  const mp4 = join(folder, 'seed.mp4');
  const webm = join(folder, 'seed.webm');
  await makeFaceClip(mp4, CLIP);
  await makeFaceClip(webm, CLIP);
  const seeds: Seed[] = [
    { name: 'mp4', ending: 'mp4', bytes: readFileSync(mp4) },
    { name: 'webm', ending: 'webm', bytes: readFileSync(webm) },
  ];
  if (!hasSystemFfmpeg) return seeds;
  for (const { name, ending, args } of CONTAINERS) {
    const path = join(folder, `seed-${seeds.length}.${ending}`);
    await ffmpeg('-i', mp4, ...args, path);
    seeds.push({ name, ending, bytes: readFileSync(path) });
  }
  return seeds;
}
