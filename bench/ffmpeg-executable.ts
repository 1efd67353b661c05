import { spawnSync } from 'node:child_process';

export interface FfmpegExecutable {
  path: string;
  version: string;
}

function versionOf(path: string): string | null {
  const { status, stdout } = spawnSync(path, ['-version'], { encoding: 'utf8' });
  return status === 0 ? (stdout.split('\n')[0] ?? '') : null;
}

/**
 * The FFmpeg that benches compare with: the system's, or the npm package's where there is none.
 * @throws Error where neither runs
 */
export async function findFfmpeg(): Promise<FfmpegExecutable> {
  const system = versionOf('ffmpeg');
  if (system !== null) return { path: 'ffmpeg', version: system };
  const { path } = (await import('@ffmpeg-installer/ffmpeg')).default;
  const packaged = versionOf(path);
  if (packaged === null) throw new Error('no ffmpeg on PATH, and the one of @ffmpeg-installer does not run');
  return { path, version: packaged };
}
