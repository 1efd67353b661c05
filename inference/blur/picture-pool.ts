import { FFmpegError, Frame } from 'node-av';
import { InferenceError } from '../errors.ts';
import { closeFrame, type VideoFrame } from '../media/video-frame.ts';
import type { Plane } from './plane.ts';

interface Lent {
  readonly picture: Frame;
  readonly planes: readonly Plane[];
}

/**
 * Pictures to draw in. A decoder still predicts from the pictures it gave out, so they must not be written to; and
 * asking FFmpeg for a picture's planes costs the garbage collector their whole size each time, so they are kept.
 */
export class PicturePool {
  readonly #free: Lent[] = [];
  #closed = false;

  /** Copies a frame, which it takes over, to a picture of the pool that goes back when the copy is closed. */
  copy(frame: VideoFrame): { readonly frame: VideoFrame; readonly planes: readonly Plane[] } {
    const lent = this.#take(frame.picture);
    const copied = lent.picture.copy(frame.picture);
    if (copied >= 0) copyTiming(frame.picture, lent.picture);
    const { index, broken } = frame;
    closeFrame(frame);
    if (copied < 0)
      throw new InferenceError('run-failed', `a picture can't be copied (${FFmpegError.strerror(copied)})`);
    return {
      frame: { index, broken, picture: lent.picture, giveBack: () => this.#giveBack(lent) },
      planes: lent.planes,
    };
  }

  /** Frees the pictures that are not lent; the others go when they are given back. */
  close(): void {
    this.#closed = true;
    for (const { picture } of this.#free.splice(0)) picture.free();
  }

  #take(like: Frame): Lent {
    for (let lent = this.#free.pop(); lent; lent = this.#free.pop()) {
      const { picture } = lent;
      // An encoder may hold on to what it was given for longer than the call.
      const fits = picture.width === like.width && picture.height === like.height && picture.format === like.format;
      if (fits && picture.isWritable) return lent;
      picture.free();
    }
    const picture = new Frame();
    picture.alloc();
    picture.width = like.width;
    picture.height = like.height;
    picture.format = like.format;
    const got = picture.getBuffer();
    if (got < 0) throw new InferenceError('run-failed', `no memory to blur in (${FFmpegError.strerror(got)})`);
    return { picture, planes: planesOf(picture) };
  }

  #giveBack(lent: Lent): void {
    if (this.#closed) lent.picture.free();
    else this.#free.push(lent);
  }
}

function planesOf({ width, height, linesize, data }: Frame): Plane[] {
  return (data ?? []).slice(0, 3).map((plane, index) => ({
    data: new Uint8Array(plane.buffer, plane.byteOffset, plane.length),
    stride: linesize[index]!,
    width: index === 0 ? width : (width + 1) >> 1,
    height: index === 0 ? height : (height + 1) >> 1,
  }));
}

/** Times and colour, and none of the side data: captions and user data have no place in what leaves. */
function copyTiming(from: Frame, to: Frame): void {
  to.pts = from.pts;
  to.duration = from.duration;
  to.timeBase = from.timeBase;
  to.sampleAspectRatio = from.sampleAspectRatio;
  to.colorRange = from.colorRange;
  to.colorSpace = from.colorSpace;
  to.colorPrimaries = from.colorPrimaries;
  to.colorTrc = from.colorTrc;
  to.chromaLocation = from.chromaLocation;
}
