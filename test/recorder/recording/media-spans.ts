import { Demuxer } from 'node-av';
import { AV_CODEC_ID_AAC, AV_CODEC_ID_H264, AVMEDIA_TYPE_VIDEO } from 'node-av/constants';

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** What a file holds, and when. */
export interface MediaSpan {
  readonly codecs: readonly string[];
  readonly video: Span;
  readonly audio: Span;
  readonly pictures: number;
}

const NAMES = new Map<number, string>([
  [AV_CODEC_ID_H264, 'h264'],
  [AV_CODEC_ID_AAC, 'aac'],
]);

/** Reads a file's packets, with an FFmpeg that has no part in recording. */
export async function spansOf(path: string): Promise<MediaSpan> {
  await using demuxer = await Demuxer.open(path);
  const spans = demuxer.streams.map(() => ({ startMs: Number.POSITIVE_INFINITY, endMs: 0, packets: 0 }));
  for await (const packet of demuxer.packets()) {
    if (!packet) continue;
    const { num, den } = demuxer.streams[packet.streamIndex]!.timeBase;
    const span = spans[packet.streamIndex]!;
    const startMs = (Number(packet.pts) * num * 1000) / den;
    span.startMs = Math.min(span.startMs, startMs);
    span.endMs = Math.max(span.endMs, startMs + (Number(packet.duration) * num * 1000) / den);
    span.packets++;
    packet.free();
  }
  const video = demuxer.streams.findIndex(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_VIDEO);
  return {
    codecs: demuxer.streams.map(({ codecpar }) => NAMES.get(codecpar.codecId) ?? String(codecpar.codecId)),
    video: spans[video]!,
    audio: spans[1 - video]!,
    pictures: spans[video]!.packets,
  };
}
