import { rm, writeFile } from 'node:fs/promises';
import type { VideoCodec } from '../inference/live/coded-media.ts';
import { JitterBuffer } from '../sfu/rtp/jitter-buffer.ts';
import { createDepacketizer } from '../sfu/rtp/payload-formats.ts';
import { parseRtpPacket } from '../sfu/rtp/rtp-packet.ts';
import type { Truth } from './clip-motion.ts';
import { FaceLegibility } from './face-legibility.ts';
import { readLuma } from './luma-reader.ts';
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

/** Decodes frames to grey pictures. Yields the same memory again and again; stops where a frame can't be decoded. */
export async function* decodeLuma(
  frames: readonly ReceivedFrame[],
  codec: VideoCodec,
  folder: string,
  { width, height }: { readonly width: number; readonly height: number },
): AsyncGenerator<{ readonly frame: ReceivedFrame; readonly luma: Uint8Array }> {
  const file = `${folder}/received-${process.pid}-${performance.now()}.${codec === 'vp8' ? 'ivf' : 'h264'}`;
  await writeFile(file, codec === 'vp8' ? ivf(frames) : Buffer.concat(frames.map(({ data }) => data)));
  try {
    let index = 0;
    for await (const luma of readLuma(file, width, height)) {
      const frame = frames[index++];
      if (!frame) throw new Error('the decoder gave more pictures than there are frames');
      yield { frame, luma };
    }
    if (index !== frames.length) throw new Error(`${frames.length - index} of ${frames.length} frames do not decode`);
  } finally {
    await rm(file, { force: true });
  }
}

/** IVF, the plainest container of VP8: a header of 32 bytes, then each frame behind 12 of its own. */
function ivf(frames: readonly ReceivedFrame[]): Buffer {
  const header = Buffer.alloc(32);
  header.write('DKIF', 0, 'latin1');
  header.writeUInt16LE(32, 6);
  header.write('VP80', 8, 'latin1');
  header.writeUInt32LE(90_000, 16);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(frames.length, 24);
  const parts = [header];
  for (const [index, { data }] of frames.entries()) {
    const before = Buffer.alloc(12);
    before.writeUInt32LE(data.length, 0);
    before.writeBigUInt64LE(BigInt(index * 3000), 4);
    parts.push(before, Buffer.from(data));
  }
  return Buffer.concat(parts);
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
  readonly folder: string;
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
  for await (const { frame, luma } of decodeLuma(options.frames, options.codec, options.folder, truth)) {
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
