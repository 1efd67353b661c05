import { Codec, CodecContext, FF_DECODER_H264, FF_DECODER_VP8, FFmpegError, Frame, Packet } from 'node-av';
import type { VideoCodec } from '../inference/live/coded-media.ts';
import { JitterBuffer } from '../sfu/rtp/jitter-buffer.ts';
import { createDepacketizer } from '../sfu/rtp/payload-formats.ts';
import { parseRtpPacket } from '../sfu/rtp/rtp-packet.ts';
import type { Truth } from './clip-motion.ts';
import { FaceLegibility } from './face-legibility.ts';
import { GreyScaler, readLuma } from './luma-reader.ts';
import { OutsideDifference } from './outside-difference.ts';

/** One coded picture that a viewer got, with its RTP timestamp. */
export interface ReceivedFrame {
  readonly data: Uint8Array;
  /** 32 bits, 90 kHz. */
  readonly rtpTimestamp: number;
  readonly isKeyframe: boolean;
  /** When its last packet came, on the clock of the packets. */
  readonly atMs: number;
}

/** Puts a viewer's video packets together; what was lost on the way is left out from there to the next keyframe. */
export function framesOf(
  packets: readonly { readonly rtp: Buffer; readonly atMs: number }[],
  codec: VideoCodec,
): ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  let atMs = 0;
  const depacketizer = createDepacketizer(codec, {
    onVideo: ({ data, pts, isKeyframe }) => frames.push({ data, rtpTimestamp: pts % 2 ** 32, isKeyframe, atMs }),
    onLoss: () => undefined,
  });
  const jitter = new JitterBuffer(depacketizer);
  for (const { rtp, atMs: at } of packets) {
    atMs = at;
    const packet = parseRtpPacket(rtp);
    if (packet) jitter.push(packet, at);
  }
  return frames;
}

/**
 * Decodes frames to grey pictures, each with the frame that it was made from. Yields the same memory again and again.
 * @throws Error where a frame can't be decoded
 */
export async function* decodeLuma(
  frames: readonly ReceivedFrame[],
  codec: VideoCodec,
  { width, height }: { readonly width: number; readonly height: number },
): AsyncGenerator<{ readonly frame: ReceivedFrame; readonly luma: Uint8Array }> {
  const decoder = Codec.findDecoderByName(codec === 'vp8' ? FF_DECODER_VP8 : FF_DECODER_H264)!;
  const context = new CodecContext();
  context.allocContext3(decoder);
  context.threadCount = 1;
  FFmpegError.throwIfError(await context.open2(decoder, null), 'open the decoder');
  using scaler = new GreyScaler(width, height);
  using picture = new Frame();
  picture.alloc();
  try {
    for (const [index, { data }] of [...frames, { data: null }].entries()) {
      using packet = new Packet();
      packet.alloc();
      if (data) {
        packet.data = Buffer.from(data);
        packet.pts = BigInt(index);
      }
      FFmpegError.throwIfError(await context.sendPacket(data ? packet : null), `decode frame ${index}`);
      while ((await context.receiveFrame(picture)) >= 0) {
        const frame = frames[Number(picture.pts)];
        if (!frame) throw new Error('the decoder gave a picture of no frame');
        yield { frame, luma: await scaler.scale(picture) };
        picture.unref();
      }
    }
  } finally {
    context.freeContext();
  }
}

export interface LiveLeakFigures {
  /** Pictures compared. */
  readonly frames: number;
  readonly faceFrames: number;
  readonly leaked: number;
  readonly leakedPer1000: number;
  /** Of the picture away from faces; null where nothing could be compared. */
  readonly psnrOutsideDb: number | null;
}

export interface MeasureLiveLeaksOptions {
  /** The clip that was published. */
  readonly source: string;
  readonly truth: Truth;
  readonly frames: readonly ReceivedFrame[];
  readonly codec: VideoCodec;
  /** Which picture of the clip a received one was made from, by its timestamp; null to leave it out. */
  readonly indexOf: (frame: ReceivedFrame) => number | null;
  /** Faces whose shorter side is smaller are not counted; default 20. */
  readonly minFacePx?: number;
}

/** Likewise in one picture of so many. */
const OUTSIDE_FRAME_STEP = 5;

/** The leak measure on what a viewer received: each picture against the one that it was made from. */
export async function measureLiveLeaks(options: MeasureLiveLeaksOptions): Promise<LiveLeakFigures> {
  const { truth, minFacePx = 20 } = options;
  const { width, height } = truth;
  const sources: Uint8Array[] = [];
  for await (const luma of readLuma(options.source, width, height)) sources.push(Uint8Array.from(luma));
  const legibility = new FaceLegibility(width, height);
  const outside = new OutsideDifference(width, height);
  let frames = 0;
  let faceFrames = 0;
  let leaked = 0;
  for await (const { frame, luma } of decodeLuma(options.frames, options.codec, truth)) {
    const index = options.indexOf(frame);
    const source = index === null ? undefined : sources[index];
    if (index === null || !source) continue;
    const boxes = truth.frames[index]!;
    if (frames++ % OUTSIDE_FRAME_STEP === 0) outside.add(source, luma, boxes);
    for (const box of boxes) {
      if (Math.min(box[3], box[4]) < minFacePx) continue;
      const seen = legibility.compare(source, luma, box);
      if (!seen) continue;
      faceFrames++;
      if (seen.legible) leaked++;
    }
  }
  return {
    frames,
    faceFrames,
    leaked,
    leakedPer1000: Math.round((100_000 * leaked) / Math.max(1, faceFrames)) / 100,
    psnrOutsideDb: outside.psnrDb,
  };
}
