import { FFmpegError, Frame, Rational } from 'node-av';
import { AV_PIX_FMT_YUV420P } from 'node-av/constants';
import type { VideoFrame } from '../../inference/media/video-frame.ts';

/** The luma, 0..255, of a pixel. */
export type Paint = (x: number, y: number) => number;

/**
 * An I420 picture of even sides in memory of its own; the caller frees it. Its colour is grey.
 * (Not by `Frame.fromVideoBuffer`: node-av 6.1.1 lets its pixels be collected while the frame still points to them.)
 */
export function makePicture(width: number, height: number, paint: Paint): Frame {
  const picture = new Frame();
  picture.alloc();
  Object.assign(picture, { width, height, format: AV_PIX_FMT_YUV420P, timeBase: new Rational(1, 30) });
  FFmpegError.throwIfError(picture.getBuffer(), 'allocate a picture');
  const [luma, ...chroma] = picture.data!;
  const stride = picture.linesize[0]!;
  for (const plane of chroma) plane.fill(128);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) luma![y * stride + x] = paint(x, y);
  }
  return picture;
}

export function makeVideoFrame(index: number, picture: Frame, broken = false): VideoFrame {
  picture.pts = BigInt(index);
  return { index, picture, broken };
}

/** A picture's luma without the padding of its rows. */
export function lumaOf(picture: Frame): Uint8Array {
  return new Uint8Array(picture.toBuffer().subarray(0, picture.width * picture.height));
}

/** Noise with detail of every size, so that any change or motion of it shows. The same seed gives the same picture. */
export function texture(seed: number): Paint {
  const random = seededRandom(seed);
  const table = Float32Array.from({ length: 65536 }, random);
  const value = (x: number, y: number) => table[(x & 255) | ((y & 255) << 8)]!;
  const smooth = (x: number, y: number, cell: number) => {
    const [x0, y0] = [Math.floor(x / cell), Math.floor(y / cell)];
    const [fx, fy] = [x / cell - x0, y / cell - y0];
    const upper = value(x0, y0) * (1 - fx) + value(x0 + 1, y0) * fx;
    const lower = value(x0, y0 + 1) * (1 - fx) + value(x0 + 1, y0 + 1) * fx;
    return upper * (1 - fy) + lower * fy;
  };
  return (x, y) => 30 + 190 * (0.6 * smooth(x, y, 47) + 0.3 * smooth(x, y, 13) + 0.1 * smooth(x, y, 4));
}

/** Numbers 0..1 that are the same for the same seed. @see Park and Miller 1988 */
export function seededRandom(seed: number): () => number {
  let state = (seed * 7919 + 1) % 2147483647;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
