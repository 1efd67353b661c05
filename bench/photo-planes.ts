import { FFmpegError, Frame } from 'node-av';
import { AV_PIX_FMT_YUV444P } from 'node-av/constants';
import sharp from 'sharp';
import type { View } from './clip-motion.ts';

/** A photo as three full-size 8-bit planes: Y, Cb, Cr of BT.601, limited range, as a camera's video would be. */
export interface PhotoPlanes {
  width: number;
  height: number;
  planes: [Uint8Array, Uint8Array, Uint8Array];
}

/** Decodes a photo upright: boxes are given after EXIF orientation. */
export async function readPhoto(photo: string | Uint8Array): Promise<PhotoPlanes> {
  const { data, info } = await sharp(photo)
    .autoOrient()
    .flatten()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const size = info.width * info.height;
  const [y, cb, cr] = [new Uint8Array(size), new Uint8Array(size), new Uint8Array(size)];
  for (let i = 0, at = 0; i < size; i++, at += info.channels) {
    const r = data[at]!;
    const g = info.channels < 3 ? r : data[at + 1]!;
    const b = info.channels < 3 ? r : data[at + 2]!;
    y[i] = 16.5 + 0.256788 * r + 0.504129 * g + 0.097906 * b;
    cb[i] = 128.5 - 0.148223 * r - 0.290993 * g + 0.439216 * b;
    cr[i] = 128.5 + 0.439216 * r - 0.367788 * g - 0.071427 * b;
  }
  return { width: info.width, height: info.height, planes: [y, cb, cr] };
}

/** The photo as one picture, full colour; the caller frees it. */
export function photoFrame({ width, height, planes }: PhotoPlanes): Frame {
  const frame = new Frame();
  frame.alloc();
  Object.assign(frame, { width, height, format: AV_PIX_FMT_YUV444P });
  FFmpegError.throwIfError(frame.getBuffer(), 'allocate a picture');
  const { linesize } = frame;
  for (const [i, target] of frame.data!.slice(0, 3).entries()) {
    for (let y = 0; y < height; y++) target.set(planes[i]!.subarray(y * width, (y + 1) * width), y * linesize[i]!);
  }
  return frame;
}

/** Draws views of one photo at a fixed size, bilinearly. Rows are stretched across once and then blended downwards. */
export class ViewSampler {
  readonly #photo: PhotoPlanes;
  readonly #width: number;
  readonly #height: number;
  readonly #columns: Int32Array;
  readonly #weights: Float32Array;
  readonly #rows: [Float32Array, Float32Array];

  constructor(photo: PhotoPlanes, width: number, height: number) {
    this.#photo = photo;
    this.#width = width;
    this.#height = height;
    this.#columns = new Int32Array(width);
    this.#weights = new Float32Array(width);
    this.#rows = [new Float32Array(width), new Float32Array(width)];
  }

  /**
   * Draws `view` into three full-size planes.
   * @param target the planes, `strides[i]` bytes a row; written to, not kept
   */
  draw(view: View, target: readonly Uint8Array[], strides: readonly number[]): void {
    for (let x = 0; x < this.#width; x++) {
      const from = position(view.x, view.scaleX, x, this.#photo.width);
      this.#columns[x] = from;
      this.#weights[x] = from - this.#columns[x]!;
    }
    for (const [index, plane] of this.#photo.planes.entries()) {
      this.#drawPlane(plane, view, target[index]!, strides[index]!);
    }
  }

  #drawPlane(plane: Uint8Array, view: View, target: Uint8Array, stride: number): void {
    let [upper, lower] = this.#rows;
    let upperRow = -1;
    let lowerRow = -1;
    for (let y = 0; y < this.#height; y++) {
      const from = position(view.y, view.scaleY, y, this.#photo.height);
      const row = Math.trunc(from);
      if (row !== upperRow) {
        if (row === lowerRow) [upper, lower] = [lower, upper];
        else this.#stretchRow(plane, row, upper);
        this.#stretchRow(plane, row + 1, lower);
        upperRow = row;
        lowerRow = row + 1;
      }
      blendRows(upper, lower, from - row, target, y * stride);
    }
  }

  #stretchRow(plane: Uint8Array, row: number, out: Float32Array): void {
    const columns = this.#columns;
    const weights = this.#weights;
    const start = row * this.#photo.width;
    for (let x = 0; x < out.length; x++) {
      const at = start + columns[x]!;
      const left = plane[at]!;
      out[x] = left + (plane[at + 1]! - left) * weights[x]!;
    }
  }
}

/** Where clip pixel `index` lies in the photo: pixel centres meet, and the next photo pixel still exists. */
function position(start: number, scale: number, index: number, length: number): number {
  return Math.max(0, Math.min(length - 1.001, start + (index + 0.5) * scale - 0.5));
}

function blendRows(upper: Float32Array, lower: Float32Array, weight: number, out: Uint8Array, start: number): void {
  for (let x = 0; x < upper.length; x++) {
    const above = upper[x]!;
    out[start + x] = above + (lower[x]! - above) * weight;
  }
}
