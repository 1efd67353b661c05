import { rm } from 'node:fs/promises';
import { Demuxer } from 'node-av';
import { AV_PKT_FLAG_KEY } from 'node-av/constants';
import type { CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import { ffmpeg } from '../clips/ffmpeg.ts';

/** A clip as an encoder of live video gives it: one packet a picture, no B-frames unless asked for. */
export interface CodedClip {
  readonly codec: VideoCodec;
  readonly fps: number;
  readonly video: readonly CodedVideo[];
  /** Opus, 20 ms each. */
  readonly audio: readonly Uint8Array[];
}

export interface CodeClipOptions {
  readonly codec: VideoCodec;
  readonly fps?: number;
  /** Pictures from keyframe to keyframe; default 30. */
  readonly keyframeEvery?: number;
  readonly bitrate?: string;
  /** A chain over the pictures, e.g. `scale=320:180`. */
  readonly filters?: string;
}

/** Codes a video file as a live sender would; `folder` takes a temporary file. */
export async function codeClip(path: string, folder: string, options: CodeClipOptions): Promise<CodedClip> {
  const { codec, fps = 30, keyframeEvery = 30, bitrate = '2500k', filters = 'null' } = options;
  const file = `${folder}/coded-${codec}-${Date.now()}.${codec === 'vp8' ? 'webm' : 'ts'}`;
  const encoder =
    codec === 'vp8'
      ? ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0']
      : ['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', 'baseline'];
  const rate = ['-b:v', bitrate, '-maxrate', bitrate, '-bufsize', bitrate, '-g', String(keyframeEvery)];
  const input = [
    '-i',
    path,
    '-map',
    '0:v:0',
    '-map',
    '0:a:0?',
    '-r',
    String(fps),
    '-vf',
    filters,
    '-pix_fmt',
    'yuv420p',
  ];
  await ffmpeg(...input, ...encoder, ...rate, '-c:a', 'libopus', '-b:a', '64k', file);
  try {
    return { codec, fps, ...(await readPackets(file, fps)) };
  } finally {
    await rm(file, { force: true });
  }
}

async function readPackets(file: string, fps: number): Promise<{ video: CodedVideo[]; audio: Uint8Array[] }> {
  await using demuxer = await Demuxer.open(file);
  const videoIndex = demuxer.video()!.index;
  const video: CodedVideo[] = [];
  const audio: Uint8Array[] = [];
  for await (const packet of demuxer.packets()) {
    if (!packet) continue;
    const data = Uint8Array.from(packet.data!);
    if (packet.streamIndex !== videoIndex) audio.push(data);
    else {
      const isKeyframe = (packet.flags & AV_PKT_FLAG_KEY) !== 0;
      video.push({ data, pts: Math.round((video.length * 90_000) / fps), isKeyframe });
    }
    packet.free();
  }
  return { video, audio };
}
