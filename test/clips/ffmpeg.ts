import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findFfmpeg } from '../../bench/ffmpeg-executable.ts';

const executable = await findFfmpeg().catch(() => null);

/** Whether an FFmpeg runs here: the system's, or the one of @ffmpeg-installer. */
export const hasFfmpeg = executable !== null;

/** Whether it is the system's, which has all encoders that clips of odd formats need. */
export const hasSystemFfmpeg = executable?.path === 'ffmpeg';

/** Runs FFmpeg on files; it overwrites. @throws Error with what it printed */
export async function ffmpeg(...args: string[]): Promise<void> {
  if (!executable) throw new Error('no ffmpeg runs here');
  await promisify(execFile)(executable.path, ['-v', 'error', '-nostdin', '-y', ...args]);
}
