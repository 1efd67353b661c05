import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join, parse } from 'node:path';
import { Demuxer } from 'node-av';
import { OUT_FOLDER, type ReadyClip } from '../clips.ts';
import { findFfmpeg } from '../ffmpeg-executable.ts';
import type { ReceivedFrame } from '../received-video.ts';

/** A file to publish by RTMP without coding anything, and how its times lead back to the clip it was made from. */
export interface RtmpClip {
  readonly clip: ReadyClip;
  readonly file: string;
  readonly seconds: number;
  /** The picture of the clip that a received one was made from; null for those before and after it. */
  indexOf(frame: Pick<ReceivedFrame, 'rtpTimestamp'>): number | null;
}

/** Changes with anything that changes the files. */
const VERSION = 1;
/** As OBS sends a call or a meeting, but for B-frames, which would make the source itself wait. */
const VIDEO = [
  '-c:v',
  'libx264',
  '-preset',
  'veryfast',
  '-profile:v',
  'high',
  '-bf',
  '0',
  '-g',
  '60',
  '-pix_fmt',
  'yuv420p',
];
const RATE = ['-b:v', '3M', '-maxrate', '3M', '-bufsize', '3M'];
const SOUND = ['-c:a', 'aac', '-b:a', '128k', '-ar', '48000'];
const TONE = ['-f', 'lavfi', '-i', 'sine=440:sample_rate=48000'];
/** Grey before the clip, in which a viewer comes in, and after it, which pushes the last pictures out. */
const LEAD_IN_S = 4;
const LEAD_OUT_S = 2;

/** What every file of this kind is, for the notes. */
export const RTMP_CLIP_NOTE = 'H.264 High, 1280x720, 30 fps, 3 Mbit/s, keyframe every 2 s, no B-frames, AAC 128 kbit/s';

/** The clip again and again, without a seam in its times. */
export async function loopedClip(clip: ReadyClip, seconds: number): Promise<RtmpClip> {
  const laps = Math.ceil(seconds / clip.seconds);
  const lap = await made(`${parse(clip.file).name}-lap-v${VERSION}.mp4`, (file) => [
    ...['-i', clip.file, '-an', ...VIDEO, ...RATE, file],
  ]);
  const file = await made(`${parse(clip.file).name}-x${laps}-v${VERSION}.flv`, (output) => [
    ...['-stream_loop', String(laps - 1), '-i', lap, ...TONE, '-map', '0:v', '-map', '1:a', '-c:v', 'copy', ...SOUND],
    ...['-t', String(laps * clip.seconds), output],
  ]);
  const numberOf = await frameNumbers(file, clip.truth.fps);
  const length = clip.truth.frames.length;
  return { clip, file, seconds: laps * clip.seconds, indexOf: (frame) => numberOf(frame) % length };
}

/** The clip once, between grey. */
export async function singleClip(clip: ReadyClip): Promise<RtmpClip> {
  const { width, height, fps, frames } = clip.truth;
  const grey = (seconds: number) => ['-f', 'lavfi', '-i', `color=gray:s=${width}x${height}:r=${fps}:d=${seconds}`];
  const seconds = LEAD_IN_S + clip.seconds + LEAD_OUT_S;
  const parts = [0, 1, 2].map((i) => `[${i}:v]format=yuv420p,setsar=1[p${i}]`).join(';');
  const joined = `${parts};[p0][p1][p2]concat=n=3:v=1,setpts=N/${fps}/TB[v]`;
  const file = await made(`${parse(clip.file).name}-once-v${VERSION}.flv`, (output) => [
    ...[...grey(LEAD_IN_S), '-i', clip.file, ...grey(LEAD_OUT_S), ...TONE],
    ...['-filter_complex', joined, '-map', '[v]', '-map', '3:a', '-r', String(fps), ...VIDEO, ...RATE, ...SOUND],
    ...['-t', String(seconds), output],
  ]);
  const numberOf = await frameNumbers(file, fps);
  const indexOf = (frame: Pick<ReceivedFrame, 'rtpTimestamp'>) => {
    const index = numberOf(frame) - LEAD_IN_S * fps;
    return index >= 0 && index < frames.length ? index : null;
  };
  return { clip, file, seconds, indexOf };
}

/** FFmpeg's command that publishes it in real time. */
export function publishArguments(clip: RtmpClip, url: string): string[] {
  return ['-v', 'error', '-nostdin', '-re', '-i', clip.file, '-c', 'copy', '-f', 'flv', url];
}

/** Under a name of its own until it is whole. */
async function made(name: string, command: (output: string) => string[]): Promise<string> {
  const folder = join(OUT_FOLDER, 'live-clips');
  const file = join(folder, name);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const unfinished = join(folder, `${process.pid}-${name}`);
  const ffmpeg = await findFfmpeg();
  const run = spawnSync(ffmpeg.path, ['-v', 'error', '-nostdin', '-y', ...command(unfinished)], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`cannot make ${file}: ${run.stderr}`);
  renameSync(unfinished, file);
  return file;
}

/**
 * From RTP timestamps to pictures of the file. FLV tells whole milliseconds, and FFmpeg begins with the earlier of sound
 * and picture at 0.
 */
async function frameNumbers(
  file: string,
  fps: number,
): Promise<(frame: Pick<ReceivedFrame, 'rtpTimestamp'>) => number> {
  await using demuxer = await Demuxer.open(file);
  const videoIndex = demuxer.video()!.index;
  const first = new Map<number, number>();
  for await (const packet of demuxer.packets()) {
    if (!packet) break;
    const { streamIndex, pts } = packet;
    packet.free();
    if (!first.has(streamIndex)) first.set(streamIndex, Number(pts));
    if (first.size === 2) break;
  }
  const offsetMs = first.get(videoIndex)! - Math.min(...first.values());
  return ({ rtpTimestamp }) => Math.round(((rtpTimestamp / 90 - offsetMs) * fps) / 1000);
}
