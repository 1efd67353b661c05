import { Decoder, Demuxer, type Stream } from 'node-av';
import { AV_PKT_DATA_DISPLAYMATRIX, AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO } from 'node-av/constants';

export interface ReadPacket {
  readonly pts: bigint;
  readonly seconds: number;
  readonly data: Buffer;
}

/** A file's streams, tags and coded packets, as an FFmpeg that has no part in the engine reads them. */
export interface ReadMedia {
  readonly format: string;
  /** One per stream, in the file's order. */
  readonly kinds: readonly ('video' | 'audio' | 'other')[];
  readonly codecs: readonly string[];
  /** The container's tags, then each stream's. */
  readonly tags: readonly Readonly<Record<string, string>>[];
  /** Of the first audio stream. */
  readonly audio: readonly ReadPacket[];
  /** Of the first video stream, frames a second. */
  readonly fps: number;
  readonly hasDisplayMatrix: boolean;
}

export interface ReadPicture {
  readonly seconds: number;
  readonly durationSeconds: number;
  readonly width: number;
  readonly height: number;
}

export async function readMedia(path: string): Promise<ReadMedia> {
  await using demuxer = await Demuxer.open(path);
  const { streams } = demuxer;
  const kinds = streams.map(kindOf);
  const audioStream = streams[kinds.indexOf('audio')];
  const video = streams[kinds.indexOf('video')];
  const audio: ReadPacket[] = [];
  if (audioStream) {
    for await (const packet of demuxer.packets(audioStream.index)) {
      if (!packet) continue;
      audio.push({
        pts: packet.pts,
        seconds: secondsOf(packet.pts, audioStream),
        data: Buffer.from(packet.data ?? []),
      });
      packet.free();
    }
  }
  return {
    format: demuxer.formatName,
    kinds,
    codecs: streams.map(({ codecpar }) => String(codecpar.codecId)),
    tags: [demuxer.metadata, ...streams.map((stream) => stream.metadata?.getAll() ?? {})],
    audio,
    fps: video ? video.avgFrameRate.num / video.avgFrameRate.den : 0,
    hasDisplayMatrix: Boolean(video?.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX)),
  };
}

/** Every picture of the first video stream, decoded. @throws FFmpegError where one can't be */
export async function readPictures(path: string): Promise<ReadPicture[]> {
  await using demuxer = await Demuxer.open(path);
  const stream = demuxer.video();
  if (!stream) throw new Error(`${path} has no video`);
  using decoder = await Decoder.create(stream, { exitOnError: true });
  const pictures: ReadPicture[] = [];
  for await (const frame of decoder.frames(demuxer.packets(stream.index))) {
    if (!frame) continue;
    pictures.push({
      seconds: secondsOf(frame.pts, stream),
      durationSeconds: secondsOf(frame.duration, stream),
      width: frame.width,
      height: frame.height,
    });
    frame.free();
  }
  return pictures;
}

function kindOf({ codecpar }: Stream): 'video' | 'audio' | 'other' {
  if (codecpar.codecType === AVMEDIA_TYPE_VIDEO) return 'video';
  return codecpar.codecType === AVMEDIA_TYPE_AUDIO ? 'audio' : 'other';
}

function secondsOf(ticks: bigint, { timeBase }: Stream): number {
  return (Number(ticks) * timeBase.num) / timeBase.den;
}
