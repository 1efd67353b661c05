import { Decoder, Demuxer, Encoder, type EncoderOptions, FilterAPI, Muxer, type Packet, type Stream } from 'node-av';
import { FF_ENCODER_LIBVPX_VP8, FF_ENCODER_LIBVPX_VP9, FF_ENCODER_LIBX264 } from 'node-av/constants';

export interface ReencodeOptions {
  /** FFmpeg's filter graph for the pictures. */
  readonly filters?: string;
  readonly codec?: 'h264' | 'vp8' | 'vp9';
  /** Fields of the video encoder's context. */
  readonly context?: EncoderOptions['context'];
  /** Whether the sound is copied; default true. */
  readonly sound?: boolean;
  /** Added to the time of every picture and every bit of sound. */
  readonly delaySeconds?: number;
}

const ENCODERS = { h264: FF_ENCODER_LIBX264, vp8: FF_ENCODER_LIBVPX_VP8, vp9: FF_ENCODER_LIBVPX_VP9 } as const;
const X264 = { preset: 'veryfast', crf: 16 };
const LIBVPX = { crf: 12, deadline: 'realtime', 'cpu-used': 8 };

/** Writes a clip anew with other pictures, times or codec; the output's ending chooses the container. */
export async function reencode(input: string, output: string, options: ReencodeOptions = {}): Promise<void> {
  const { filters = 'null', codec = 'h264', context, sound = true, delaySeconds = 0 } = options;
  await using muxer = await Muxer.open(output);
  await using demuxer = await Demuxer.open(input);
  const video = demuxer.video()!;
  using decoder = await Decoder.create(video);
  using filter = FilterAPI.create(filters);
  using encoder = await Encoder.create(ENCODERS[codec], {
    decoder,
    filter,
    context: { ...(codec !== 'h264' && { bitRate: '8M' }), ...context },
    options: codec === 'h264' ? X264 : LIBVPX,
  });
  const videoIndex = muxer.addStream(encoder);
  await using soundDemuxer = await Demuxer.open(input);
  const audio = sound ? soundDemuxer.audio() : undefined;
  const audioIndex = audio && muxer.addStream(audio);
  const write = async (packets: AsyncIterable<Packet | null>, stream: Stream, index: number) => {
    for await (const packet of packets) {
      if (packet) delay(packet, delaySeconds, stream);
      await muxer.writePacket(packet, index);
      packet?.free();
    }
  };
  const pictures = filter.frames(decoder.frames(demuxer.packets(video.index)));
  await Promise.all([
    write(encoder.packets(pictures), video, videoIndex),
    audio && write(soundDemuxer.packets(audio.index), audio, audioIndex!),
  ]);
}

function delay(packet: Packet, seconds: number, { timeBase }: Stream): void {
  const base = packet.timeBase.num > 0 ? packet.timeBase : timeBase;
  const ticks = BigInt(Math.round((seconds * base.den) / base.num));
  packet.pts += ticks;
  packet.dts += ticks;
}
