import { AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, type Frame } from 'node-av';
import { InferenceError } from '../errors.ts';
import type { FaceChip } from './face-chip.ts';
import { type SimilarityTransform, scaleOf } from './similarity-transform.ts';
import { type YuvToRgb, yuvToRgb } from './yuv-to-rgb.ts';

/** Pixels of the shrunk plane for one of the chip, at most: shrinking is by the nearest whole number. */
const MAX_STEP = 1.5;

/** A plane, or a shrunk part of it: what is asked at `(x − left) / by`, `(y − top) / by` lies at whole numbers. */
interface Plane {
  data: Uint8Array;
  stride: number;
  width: number;
  height: number;
  left: number;
  top: number;
  by: number;
}

/**
 * Cuts faces out of I420 pictures, turned and scaled onto one chip, which it owns and overwrites each time. What is
 * larger than the chip is averaged down first, so that detail too fine for the chip does not turn into other detail.
 */
export class ChipCutter {
  readonly chip: FaceChip;
  readonly #shrunk: readonly [Uint8Array, Uint8Array, Uint8Array];
  /** Y, Cb and Cr of each pixel of the chip. */
  readonly #sampled: readonly [Float32Array, Float32Array, Float32Array];

  /** @param width of the chip */
  constructor(width: number, height: number) {
    const area = width * height;
    this.chip = { width, height, rgb: new Uint8ClampedArray(3 * area), luma: new Uint8ClampedArray(area) };
    this.#sampled = [new Float32Array(area), new Float32Array(area), new Float32Array(area)];
    // A chip seen at a slant reaches as far as its diagonal.
    const side = Math.ceil(MAX_STEP * Math.hypot(width, height)) + 4;
    this.#shrunk = [new Uint8Array(side * side), new Uint8Array(side * side), new Uint8Array(side * side)];
  }

  /**
   * Cuts out one face.
   * @param picture 8-bit 4:2:0, borrowed
   * @param toPicture from pixels of the chip to pixels of the picture
   * @returns the chip, good until the next call
   * @throws InferenceError 'run-failed' for a picture of another format
   */
  cut(picture: Frame, toPicture: SimilarityTransform): FaceChip {
    const { width, height, format, linesize } = picture;
    const { data } = picture;
    if ((format !== AV_PIX_FMT_YUV420P && format !== AV_PIX_FMT_YUVJ420P) || !data || data.length < 3) {
      throw new InferenceError('run-failed', `a face can't be cut out of a picture of pixel format ${format}`);
    }
    for (const index of [0, 1, 2] as const) {
      const isLuma = index === 0;
      const plane: Plane = {
        data: data[index]!,
        stride: linesize[index]!,
        width: isLuma ? width : (width + 1) >> 1,
        height: isLuma ? height : (height + 1) >> 1,
        // Colour is sampled in the middle between two pixels.
        left: isLuma ? 0 : 0.5,
        top: isLuma ? 0 : 0.5,
        by: isLuma ? 1 : 2,
      };
      this.#sample(this.#shrink(plane, toPicture, this.#shrunk[index]), toPicture, this.#sampled[index]);
    }
    this.#colour(toPicture, width, height, yuvToRgb(picture));
    return this.chip;
  }

  /** Averages the part of a plane that the chip shows, so that one of its pixels is about one of the chip. */
  #shrink(plane: Plane, toPicture: SimilarityTransform, into: Uint8Array): Plane {
    const by = Math.round(scaleOf(toPicture) / plane.by);
    if (!(by > 1)) return plane;
    const { data, stride } = plane;
    const [x1, y1, x2, y2] = this.#reach(plane, toPicture);
    const width = Math.ceil((x2 - x1) / by);
    const height = Math.ceil((y2 - y1) / by);
    for (let row = 0; row < height; row++) {
      const fromY = y1 + row * by;
      const toY = Math.min(fromY + by, y2);
      for (let column = 0; column < width; column++) {
        const fromX = x1 + column * by;
        const toX = Math.min(fromX + by, x2);
        let sum = 0;
        for (let y = fromY; y < toY; y++) {
          const end = y * stride + toX;
          for (let at = y * stride + fromX; at < end; at++) sum += data[at]!;
        }
        const count = (toX - fromX) * (toY - fromY);
        into[row * width + column] = (sum + (count >> 1)) / count;
      }
    }
    const middle = (by - 1) / 2;
    return {
      data: into,
      stride: width,
      width,
      height,
      left: plane.left + (x1 + middle) * plane.by,
      top: plane.top + (y1 + middle) * plane.by,
      by: plane.by * by,
    };
  }

  /** The part of a plane, in its own pixels, that the chip shows. */
  #reach(plane: Plane, { a, b, tx, ty }: SimilarityTransform): [number, number, number, number] {
    const { width, height } = this.chip;
    const [xs, ys]: [number[], number[]] = [[], []];
    for (const [x, y] of [
      [-1, -1],
      [width, -1],
      [-1, height],
      [width, height],
    ] as const) {
      xs.push((a * x - b * y + tx - plane.left) / plane.by);
      ys.push((b * x + a * y + ty - plane.top) / plane.by);
    }
    const x1 = clamp(Math.floor(Math.min(...xs)), 0, plane.width - 1);
    const y1 = clamp(Math.floor(Math.min(...ys)), 0, plane.height - 1);
    const x2 = clamp(Math.ceil(Math.max(...xs)) + 1, x1 + 1, plane.width);
    const y2 = clamp(Math.ceil(Math.max(...ys)) + 1, y1 + 1, plane.height);
    return [x1, y1, x2, y2];
  }

  /** Draws a plane onto the chip, going on past its edges with what lies there. */
  #sample(
    { data, stride, width, height, left, top, by }: Plane,
    { a, b, tx, ty }: SimilarityTransform,
    into: Float32Array,
  ): void {
    const { width: chipWidth, height: chipHeight } = this.chip;
    const [stepX, stepY] = [a / by, b / by];
    const [lastColumn, lastRow] = [width - 1, height - 1];
    let at = 0;
    for (let row = 0; row < chipHeight; row++) {
      let u = (tx - b * row - left) / by;
      let v = (ty + a * row - top) / by;
      for (let column = 0; column < chipWidth; column++, u += stepX, v += stepY, at++) {
        const x = u > 0 ? (u < lastColumn ? u : lastColumn) : 0;
        const y = v > 0 ? (v < lastRow ? v : lastRow) : 0;
        const px = x | 0;
        const py = y | 0;
        const fx = x - px;
        const first = py * stride + px;
        const right = px < lastColumn ? 1 : 0;
        const second = py < lastRow ? first + stride : first;
        const above = data[first]! + (data[first + right]! - data[first]!) * fx;
        const below = data[second]! + (data[second + right]! - data[second]!) * fx;
        into[at] = above + (below - above) * (y - py);
      }
    }
  }

  /** Makes the sampled planes the chip's pixels; black where the picture ended. */
  #colour({ a, b, tx, ty }: SimilarityTransform, pictureWidth: number, pictureHeight: number, to: YuvToRgb): void {
    const { width, height, rgb, luma } = this.chip;
    const [light, blue, red] = this.#sampled;
    const [endX, endY] = [pictureWidth - 0.5, pictureHeight - 0.5];
    let at = 0;
    for (let row = 0; row < height; row++) {
      let u = tx - b * row;
      let v = ty + a * row;
      for (let column = 0; column < width; column++, u += a, v += b, at++) {
        const out = at * 3;
        if (u >= -0.5 && v >= -0.5 && u < endX && v < endY) {
          const grey = (light[at]! - to.black) * to.contrast;
          const cb = blue[at]! - 128;
          const cr = red[at]! - 128;
          luma[at] = grey;
          rgb[out] = grey + to.redOfCr * cr;
          rgb[out + 1] = grey + to.greenOfCb * cb + to.greenOfCr * cr;
          rgb[out + 2] = grey + to.blueOfCb * cb;
        } else {
          luma[at] = 0;
          rgb[out] = 0;
          rgb[out + 1] = 0;
          rgb[out + 2] = 0;
        }
      }
    }
  }
}

function clamp(value: number, least: number, most: number): number {
  return value < least ? least : value > most ? most : value;
}
