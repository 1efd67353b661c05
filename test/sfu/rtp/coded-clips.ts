import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findFfmpeg } from '../../../bench/ffmpeg-executable.ts';
import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { forEachNal, START_CODE } from '../../../sfu/rtp/annex-b.ts';

const run = promisify(execFile);

/** What ffmpeg may write to its standard output. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const IVF_HEADER_BYTES = 32;
const IVF_FRAME_HEADER_BYTES = 12;
const TYPE = { slice: 1, idr: 5, sps: 7, pps: 8, delimiter: 9 };

const ENCODERS = {
  vp8: '-c:v libvpx -b:v 1500k -deadline realtime -cpu-used 8 -g 15 -slices 4 -f ivf',
  // Four slices a picture, and delimiters at which the file can be taken apart.
  h264: '-c:v libx264 -preset ultrafast -tune zerolatency -b:v 1500k -g 15 -x264-params slices=4 -bsf:v h264_metadata=aud=insert -f h264',
};

export const CLIP_FRAMES_PER_SECOND = 30;

/** A test pattern as a file of ffmpeg's own encoders: IVF or an H.264 byte stream. */
export async function encodedClip(codec: VideoCodec, frames: number, size = '640x360'): Promise<Buffer> {
  const source = `-f lavfi -i testsrc2=size=${size}:rate=${CLIP_FRAMES_PER_SECOND} -pix_fmt yuv420p`;
  return ffmpeg(`${source} -frames:v ${frames} ${ENCODERS[codec]} pipe:1`);
}

/** The frames of such a file. */
export function framesOf(codec: VideoCodec, file: Buffer): Buffer[] {
  return codec === 'vp8' ? ivfFrames(file) : accessUnits(file);
}

/** What is left of an access unit when only what decodes it is kept: slices, SPS and PPS. */
export function essentialUnits(accessUnit: Buffer): Buffer {
  const kept: Buffer[] = [];
  forEachNal(accessUnit, (start, end) => {
    const type = accessUnit[start] & 0x1f;
    if (type === TYPE.slice || type === TYPE.idr || type === TYPE.sps || type === TYPE.pps) {
      kept.push(START_CODE, accessUnit.subarray(start, end));
    }
  });
  return Buffer.concat(kept);
}

/** A hash of each decoded picture. */
export function pictureHashes(codec: VideoCodec, frames: readonly CodedVideo[]): Promise<string[]> {
  const data = frames.map((frame) => Buffer.from(frame.data));
  return codec === 'vp8' ? fileHashes('ivf', ivf(data)) : fileHashes('h264', Buffer.concat(data));
}

/** Likewise, of a file. @throws where ffmpeg finds an error in it */
export async function fileHashes(format: 'ivf' | 'h264', file: Buffer): Promise<string[]> {
  const table = await ffmpeg(`-xerror -f ${format} -i pipe:0 -fps_mode passthrough -f framemd5 pipe:1`, file);
  return table
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)!.trim());
}

async function ffmpeg(args: string, input?: Buffer): Promise<Buffer> {
  const options = { encoding: 'buffer', maxBuffer: MAX_OUTPUT_BYTES } as const;
  const running = run((await findFfmpeg()).path, ['-hide_banner', '-loglevel', 'error', ...args.split(' ')], options);
  running.child.stdin?.end(input);
  return (await running).stdout;
}

function ivfFrames(file: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = IVF_HEADER_BYTES; at < file.length; ) {
    const start = at + IVF_FRAME_HEADER_BYTES;
    at = start + file.readUInt32LE(at);
    frames.push(file.subarray(start, at));
  }
  return frames;
}

function ivf(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(IVF_HEADER_BYTES);
  header.write('DKIF', 0);
  header.writeUInt16LE(IVF_HEADER_BYTES, 6);
  header.write('VP80', 8);
  header.writeUInt32LE(CLIP_FRAMES_PER_SECOND, 16);
  header.writeUInt32LE(1, 20);
  return Buffer.concat([
    header,
    ...frames.flatMap((frame, i) => {
      const frameHeader = Buffer.alloc(IVF_FRAME_HEADER_BYTES);
      frameHeader.writeUInt32LE(frame.length, 0);
      frameHeader.writeUInt32LE(i, 4);
      return [frameHeader, frame];
    }),
  ]);
}

function accessUnits(file: Buffer): Buffer[] {
  const starts: number[] = [];
  forEachNal(file, (start) => {
    if ((file[start] & 0x1f) === TYPE.delimiter) starts.push(start - 4);
  });
  return starts.map((start, i) => file.subarray(start, starts[i + 1]));
}
