import { AV_CODEC_ID_H264, AVERROR_EOF, FFmpegError, FormatContext, Packet } from 'node-av';
import type { Redacted } from '../../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../../inference/live/coded-media.ts';
import { readAccessUnit, readAvcConfig } from '../../../sfu/rtmp/avc.ts';
import { ffmpegOutput } from '../rtmp/media-clip.ts';

/** H.264 without B-frames and Opus, as they leave a stream. */
export interface RedactedClip {
  readonly video: readonly Redacted<CodedVideo>[];
  readonly audio: readonly CodedAudio[];
}

/** A test stands in for the process that blurs: nothing of it was a face. */
export function asRedacted(frame: CodedVideo): Redacted<CodedVideo> {
  return frame as Redacted<CodedVideo>;
}

/** A moving test picture with a tone, a keyframe a second. */
export async function makeRedactedClip(path: string, seconds: number, size = '320x240'): Promise<RedactedClip> {
  await ffmpegOutput(
    ...['-f', 'lavfi', '-i', `testsrc2=s=${size}:r=30:d=${seconds}`],
    ...['-f', 'lavfi', '-i', `sine=f=440:r=48000:d=${seconds}`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '30', '-pix_fmt', 'yuv420p'],
    ...['-c:a', 'libopus', '-ac', '2', path],
  );
  const format = new FormatContext();
  FFmpegError.throwIfError(await format.openInput(path), 'open');
  await format.findStreamInfo();
  const videoStream = format.streams.find(({ codecpar }) => codecpar.codecId === AV_CODEC_ID_H264)!;
  const config = readAvcConfig(videoStream.codecpar.extradata!)!;
  const video: Redacted<CodedVideo>[] = [];
  const audio: CodedAudio[] = [];
  const packet = new Packet();
  packet.alloc();
  while ((await format.readFrame(packet)) !== AVERROR_EOF) {
    // Matroska's times are ms.
    const ms = Number(packet.pts);
    if (packet.streamIndex === videoStream.index) {
      const { data, isKeyframe } = readAccessUnit(packet.data!, config)!;
      video.push(asRedacted({ data, isKeyframe, pts: ms * 90 }));
    } else audio.push({ data: Uint8Array.from(packet.data!), pts: ms * 48 });
    packet.unref();
  }
  await format.closeInput();
  return { video, audio };
}
