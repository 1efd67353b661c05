import { AV_PIX_FMT_GBRP, FFmpegError, Frame, SoftwareScaleContext, SWS_AREA } from 'node-av';
import { InferenceError } from '../errors.ts';
import { type Box, type Detection, mapFive, type Point } from '../track/box.ts';

/** What a border is filled with: neither light nor dark, and without an edge that could pass for a face's. */
const BORDER_LUMA = 114;

/** Another way to show a picture to a detector than as it is. */
export interface ViewOptions {
  /** Pixels of the view for one of the picture, at most 1. */
  readonly scale: number;
  /** The part of the scaled picture that is shown; where it reaches past the picture there is a border. */
  readonly window: Box;
  /** Quarter turns clockwise. */
  readonly turns: 0 | 1 | 2 | 3;
}

/** Draws one part of pictures of one size, turned where asked, into one frame, which it owns and overwrites each time. */
export class PictureView {
  /** Planar RGB. */
  readonly frame: Frame;
  readonly #options: ViewOptions;
  readonly #scaler = new SoftwareScaleContext();
  readonly #scaled: Frame;
  readonly #source: readonly Plane[];
  readonly #target: readonly Plane[];

  /** @throws InferenceError 'run-failed' */
  constructor(picture: Frame, options: ViewOptions) {
    const { scale, turns } = options;
    const { x, y, w, h } = options.window;
    this.#options = { ...options, window: { x: Math.round(x), y: Math.round(y), w: Math.round(w), h: Math.round(h) } };
    const { w: width, h: height } = this.#options.window;
    const scaledWidth = Math.max(1, Math.round(picture.width * scale));
    const scaledHeight = Math.max(1, Math.round(picture.height * scale));
    this.#scaled = planarFrame(scaledWidth, scaledHeight);
    this.frame = turns % 2 === 0 ? planarFrame(width, height) : planarFrame(height, width);
    this.#source = planesOf(this.#scaled);
    this.#target = planesOf(this.frame);
    for (const { data } of this.#target) data.fill(BORDER_LUMA);
    this.#scaler.getContext(
      picture.width,
      picture.height,
      picture.format as Parameters<SoftwareScaleContext['getContext']>[2],
      scaledWidth,
      scaledHeight,
      AV_PIX_FMT_GBRP,
      SWS_AREA,
    );
  }

  /** Draws a picture, which it borrows, into `frame`. @throws InferenceError 'run-failed' */
  draw(picture: Frame): void {
    const scaled = this.#scaler.scaleFrameSync(this.#scaled, picture);
    if (scaled < 0) {
      throw new InferenceError('run-failed', `the picture can't be scaled (${FFmpegError.strerror(scaled)})`);
    }
    for (const [index, source] of this.#source.entries()) this.#drawPlane(source, this.#target[index]!);
  }

  /** From pixels of the view to pixels of the picture. */
  toPicture({ x, y, w, h, score, landmarks }: Detection): Detection {
    const [x1, y1] = this.#pointToPicture(x, y);
    const [x2, y2] = this.#pointToPicture(x + w, y + h);
    const box = { x: Math.min(x1, x2), y: Math.min(y1, y2), w: Math.abs(x2 - x1), h: Math.abs(y2 - y1), score };
    if (!landmarks) return box;
    return { ...box, landmarks: mapFive(landmarks, ([px, py]) => this.#pointToPicture(px, py)) };
  }

  #pointToPicture(x: number, y: number): Point {
    const { scale, turns, window } = this.#options;
    const [left, top] = [
      [x, y],
      [y, window.h - x],
      [window.w - x, window.h - y],
      [window.w - y, x],
    ][turns] as [number, number];
    return [(left + window.x) / scale, (top + window.y) / scale];
  }

  close(): void {
    this.#scaler.freeContext();
    this.#scaled.free();
    this.frame.free();
  }

  #drawPlane(source: Plane, target: Plane): void {
    const { turns, window } = this.#options;
    const fromX = Math.max(0, window.x);
    const toX = Math.min(source.width, window.x + window.w);
    const fromY = Math.max(0, window.y);
    const toY = Math.min(source.height, window.y + window.h);
    // Where the first pixel goes, and how far on the next one across and the next one down go.
    const [dx, dy] = [fromX - window.x, fromY - window.y];
    const { stride } = target;
    const [first, across, down] = [
      [dy * stride + dx, 1, stride],
      [dx * stride + window.h - 1 - dy, stride, -1],
      [(window.h - 1 - dy) * stride + window.w - 1 - dx, -1, -stride],
      [(window.w - 1 - dx) * stride + dy, -stride, 1],
    ][turns] as [number, number, number];
    for (let y = fromY; y < toY; y++) {
      let to = first + (y - fromY) * down;
      const row = y * source.stride;
      if (across === 1) {
        target.data.set(source.data.subarray(row + fromX, row + toX), to);
        continue;
      }
      for (let x = fromX; x < toX; x++, to += across) target.data[to] = source.data[row + x]!;
    }
  }
}

interface Plane {
  readonly data: Uint8Array;
  readonly stride: number;
  readonly width: number;
  readonly height: number;
}

function planarFrame(width: number, height: number): Frame {
  const frame = new Frame();
  frame.alloc();
  frame.width = width;
  frame.height = height;
  frame.format = AV_PIX_FMT_GBRP;
  const got = frame.getBuffer();
  if (got < 0) throw new InferenceError('run-failed', `no memory for a view (${FFmpegError.strerror(got)})`);
  return frame;
}

function planesOf(frame: Frame): Plane[] {
  const { width, height, linesize } = frame;
  return (frame.data ?? []).slice(0, 3).map((plane, i) => ({
    data: new Uint8Array(plane.buffer, plane.byteOffset, plane.length),
    stride: linesize[i]!,
    width,
    height,
  }));
}
