import { Codec, CodecContext, FFmpegError, Frame, Packet } from 'node-av';
import { FF_DECODER_H264, FF_DECODER_VP8 } from 'node-av/constants';
import type { Truth } from '../../../bench/clip-motion.ts';
import type { Detector } from '../../../inference/detect/detector.ts';
import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { iou } from '../../../inference/track/box.ts';

/** Decodes coded frames one by one; the callback borrows each picture. @throws FFmpegError where one does not decode */
export async function decodeAll(
  codec: VideoCodec,
  frames: readonly CodedVideo[],
  onPicture: (picture: Frame, pts: number) => void | Promise<void>,
): Promise<number> {
  const decoder = Codec.findDecoderByName(codec === 'h264' ? FF_DECODER_H264 : FF_DECODER_VP8)!;
  const context = new CodecContext();
  context.allocContext3(decoder);
  context.threadCount = 1;
  FFmpegError.throwIfError(context.open2Sync(decoder, null), 'open');
  using packet = new Packet();
  packet.alloc();
  using picture = new Frame();
  picture.alloc();
  let pictures = 0;
  const drain = async () => {
    while (context.receiveFrameSync(picture) >= 0) {
      pictures++;
      await onPicture(picture, Number(picture.pts));
      picture.unref();
    }
  };
  for (const { data, pts, isKeyframe } of frames) {
    packet.data = Buffer.from(data);
    packet.pts = BigInt(pts);
    packet.isKeyframe = isKeyframe;
    FFmpegError.throwIfError(context.sendPacketSync(packet), 'decode');
    packet.unref();
    await drain();
  }
  context.sendPacketSync(null);
  await drain();
  context.freeContext();
  return pictures;
}

/** A detection lies on a true face when they overlap this much: two boxes of one face seldom overlap less. */
const MIN_OVERLAP = 0.4;

/** Where the detector still finds a face of the truth in what left, of every so many-th picture. */
export async function facesInOutput(
  codec: VideoCodec,
  frames: readonly CodedVideo[],
  detector: Detector,
  options: {
    readonly truth: Truth;
    readonly frameOf: (pts: number) => number;
    readonly minScore: number;
    /** Size of the picture against the truth's; default 1. */
    readonly scale?: number;
    readonly everyFrames?: number;
  },
): Promise<{ frame: number; id: number; score: number }[]> {
  const { truth, frameOf, minScore, everyFrames = 1 } = options;
  const found: { frame: number; id: number; score: number }[] = [];
  let n = 0;
  await decodeAll(codec, frames, async (picture, pts) => {
    if (n++ % everyFrames !== 0) return;
    const scale = truth.width / picture.width;
    for (const face of await detector.detect(picture, 640, minScore)) {
      const inTruth = { x: face.x * scale, y: face.y * scale, w: face.w * scale, h: face.h * scale };
      const hit = truth.frames[frameOf(pts)]?.find(([, x, y, w, h]) => iou({ x, y, w, h }, inTruth) >= MIN_OVERLAP);
      if (hit) found.push({ frame: frameOf(pts), id: hit[0], score: face.score });
    }
  });
  return found;
}

/** Grown by so much of its side, a face's box holds its mask (margin 0.3) and what codecs smear past it. */
const BOX_GROWTH = 0.5;

/** Luma PSNR between two codings of the same pictures, away from the faces of the truth, over pictures of equal pts. */
export async function psnrAwayFromFaces(
  source: { readonly codec: VideoCodec; readonly frames: readonly CodedVideo[] },
  output: { readonly codec: VideoCodec; readonly frames: readonly CodedVideo[] },
  truth: Truth,
  frameOf: (pts: number) => number,
): Promise<number> {
  const originals = new Map<number, Uint8Array>();
  await decodeAll(source.codec, source.frames, (picture, pts) => {
    originals.set(pts, lumaOf(picture));
  });
  let squares = 0;
  let samples = 0;
  await decodeAll(output.codec, output.frames, (picture, pts) => {
    const before = originals.get(pts);
    if (!before) throw new Error(`a picture of ${pts} left that never came`);
    const after = lumaOf(picture);
    const { width, height } = picture;
    const covered = new Uint8Array(width * height);
    for (const [, x, y, w, h] of truth.frames[frameOf(pts)] ?? []) {
      const left = Math.max(0, Math.floor(x - w * BOX_GROWTH));
      const right = Math.max(left, Math.min(width, Math.ceil(x + w * (1 + BOX_GROWTH))));
      for (
        let row = Math.max(0, Math.floor(y - h * BOX_GROWTH));
        row < Math.min(height, y + h * (1 + BOX_GROWTH));
        row++
      ) {
        covered.fill(1, row * width + left, row * width + right);
      }
    }
    for (let i = 0; i < after.length; i++) {
      if (covered[i]) continue;
      squares += (before[i]! - after[i]!) ** 2;
      samples++;
    }
  });
  return 10 * Math.log10((255 * 255 * samples) / Math.max(1, squares));
}

export function lumaOf(picture: Frame): Uint8Array {
  return new Uint8Array(picture.toBuffer().subarray(0, picture.width * picture.height));
}

/** A mosaic over the whole picture has cells of a third of its longer side; any real picture varies within them. */
const FLAT_DEVIATION = 3;

/** Whether a picture was covered whole: it is flat inside each cell of a 6×6 grid but for the codec's noise at edges. */
export function isCoveredWhole(picture: Frame): boolean {
  const luma = lumaOf(picture);
  const { width, height } = picture;
  let flat = 0;
  let cells = 0;
  const size = Math.floor(Math.min(width, height) / 12);
  for (let top = 0; top + size <= height; top += size) {
    for (let left = 0; left + size <= width; left += size) {
      let sum = 0;
      let square = 0;
      for (let y = top; y < top + size; y++) {
        for (let x = left; x < left + size; x++) {
          sum += luma[y * width + x]!;
          square += luma[y * width + x]! ** 2;
        }
      }
      const n = size * size;
      cells++;
      if (Math.sqrt(Math.max(0, square / n - (sum / n) ** 2)) < FLAT_DEVIATION) flat++;
    }
  }
  // The edges between the mosaic's few cells cross some of ours.
  return flat > 0.7 * cells;
}
