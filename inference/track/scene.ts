import { AV_PIX_FMT_GRAY8, FFmpegError, Frame, SoftwareScaleContext, SWS_AREA } from 'node-av';
import { InferenceError } from '../errors.ts';
import { shiftBetween } from './camera-shift.ts';

const BINS = 32;
const THUMB_WIDTH = 32;
const THUMB_HEIGHT = 18;
/** Below this correlation of two successive thumbnails, they show different scenes. */
const MIN_CORRELATION = 0.5;
/** Or below these two together: the tones changed and the picture with them. */
const MIN_TONES_IN_COMMON = 0.5;
const MIN_CORRELATION_OF_OTHER_TONES = 0.8;
/** Below this correlation it may still be the same scene, but nobody can say from one of them where faces are in the other:
 * a whip pan, or damage that the decoder does not tell of. */
const MIN_CORRELATION_OF_NEIGHBOURS = 0.8;
/** A picture whose thumbnail varies less than this (luma levels) has nothing to correlate. */
const MIN_CONTRAST = 4;
/** The longer side of the luma picture that is looked at. */
const SMALL_SIDE = 320;

interface Look {
  readonly histogram: Float32Array;
  readonly thumb: Float32Array;
  readonly columns: Float32Array;
  readonly rows: Float32Array;
}

/** What changed from the frame before to this one. */
export interface SceneChange {
  /** A new scene starts with this frame. */
  readonly cut: boolean;
  /** It may be the same scene, but so different that what is true of one of the two says little of the other. */
  readonly abrupt: boolean;
  /** How far the whole picture moved, in pixels: of a face that stands still in the world, too. */
  readonly dx: number;
  readonly dy: number;
}

/** Watches small luma pictures from frame to frame for cuts and for the camera's own motion. */
export class SceneWatch {
  #luma: SmallLuma | undefined;
  #last: Look | undefined;

  /**
   * Looks at the next frame, which it borrows.
   * @throws InferenceError 'run-failed'
   */
  observe(picture: Frame): SceneChange {
    if (!this.#luma?.fits(picture)) {
      this.#luma?.close();
      this.#luma = new SmallLuma(picture);
      this.#last = undefined;
    }
    const look = this.#luma.look(picture);
    const last = this.#last;
    this.#last = look;
    const correlation = last ? correlate(last.thumb, look.thumb) : null;
    if (!last || isCut(last, look, correlation)) return { cut: true, abrupt: true, dx: 0, dy: 0 };
    return {
      cut: false,
      abrupt: correlation !== null && correlation < MIN_CORRELATION_OF_NEIGHBOURS,
      dx: shiftBetween(last.columns, look.columns) * this.#luma.scaleX,
      dy: shiftBetween(last.rows, look.rows) * this.#luma.scaleY,
    };
  }

  close(): void {
    this.#luma?.close();
  }
}

/** Scales pictures of one size to a small luma picture and sums it up. */
class SmallLuma {
  /** Pixels of the picture in one of the small one. */
  readonly scaleX: number;
  readonly scaleY: number;
  readonly #source: { width: number; height: number; format: number };
  readonly #small = new Frame();
  readonly #scaler = new SoftwareScaleContext();
  readonly #pixels: Uint8Array;
  /** The thumbnail's column that each of the small picture's belongs to. */
  readonly #thumbColumns: Uint8Array;

  constructor({ width, height, format }: Frame) {
    this.#source = { width, height, format };
    const scale = Math.min(1, SMALL_SIDE / Math.max(width, height));
    this.#small.alloc();
    this.#small.width = Math.max(1, Math.round(width * scale));
    this.#small.height = Math.max(1, Math.round(height * scale));
    this.#small.format = AV_PIX_FMT_GRAY8;
    const got = this.#small.getBuffer();
    if (got < 0) throw new InferenceError('run-failed', `no memory to watch the scene (${FFmpegError.strerror(got)})`);
    const [plane] = this.#small.data!;
    this.#pixels = new Uint8Array(plane!.buffer, plane!.byteOffset, plane!.length);
    const columns = this.#small.width;
    this.#thumbColumns = Uint8Array.from({ length: columns }, (_, x) => (x * THUMB_WIDTH) / columns);
    this.scaleX = width / columns;
    this.scaleY = height / this.#small.height;
    type Format = Parameters<SoftwareScaleContext['getContext']>[2];
    // The source is read as luma alone, which I420 begins with.
    this.#scaler.getContext(
      width,
      height,
      format as Format,
      this.#small.width,
      this.#small.height,
      AV_PIX_FMT_GRAY8,
      SWS_AREA,
    );
  }

  fits({ width, height, format }: Frame): boolean {
    return width === this.#source.width && height === this.#source.height && format === this.#source.format;
  }

  look(picture: Frame): Look {
    const scaled = this.#scaler.scaleFrameSync(this.#small, picture);
    if (scaled < 0)
      throw new InferenceError('run-failed', `the scene can't be watched (${FFmpegError.strerror(scaled)})`);
    const { width, height, linesize } = this.#small;
    const stride = linesize[0]!;
    const pixels = this.#pixels;
    const histogram = new Float32Array(BINS);
    const thumb = new Float32Array(THUMB_WIDTH * THUMB_HEIGHT);
    const counts = new Float32Array(THUMB_WIDTH * THUMB_HEIGHT);
    const columns = new Uint32Array(width);
    const rows = new Float32Array(height);
    for (let y = 0; y < height; y++) {
      const row = y * stride;
      let sum = 0;
      for (let x = 0; x < width; x++) {
        const value = pixels[row + x]!;
        sum += value;
        columns[x]! += value;
      }
      rows[y] = sum;
      // Every second pixel of every second row is enough for tones.
      if (y % 2 !== 0) continue;
      const thumbRow = Math.floor((y * THUMB_HEIGHT) / height) * THUMB_WIDTH;
      for (let x = 0; x < width; x += 2) {
        const value = pixels[row + x]!;
        histogram[value >> 3]!++;
        const cell = thumbRow + this.#thumbColumns[x]!;
        thumb[cell]! += value;
        counts[cell]!++;
      }
    }
    let samples = 0;
    for (const count of histogram) samples += count;
    for (let i = 0; i < BINS; i++) histogram[i]! /= samples;
    for (let i = 0; i < thumb.length; i++) thumb[i]! /= Math.max(1, counts[i]!);
    return { histogram, thumb, columns: levelled(columns, height), rows: levelled(rows, width) };
  }

  close(): void {
    this.#scaler.freeContext();
    this.#small.free();
  }
}

/** Sums to means, less their own mean: a change of exposure moves no profile. */
function levelled(sums: Float32Array | Uint32Array, samples: number): Float32Array {
  let mean = 0;
  for (let i = 0; i < sums.length; i++) mean += sums[i]! / sums.length;
  return Float32Array.from(sums, (sum) => (sum - mean) / samples);
}

function isCut(a: Look, b: Look, correlation: number | null): boolean {
  let common = 0;
  for (let i = 0; i < BINS; i++) common += Math.min(a.histogram[i]!, b.histogram[i]!);
  if (correlation === null) return common < MIN_TONES_IN_COMMON;
  if (correlation < MIN_CORRELATION) return true;
  return common < MIN_TONES_IN_COMMON && correlation < MIN_CORRELATION_OF_OTHER_TONES;
}

/** Pearson's correlation, or null when both are flat. */
function correlate(a: Float32Array, b: Float32Array): number | null {
  const n = a.length;
  let sa = 0;
  let sb = 0;
  for (let i = 0; i < n; i++) {
    sa += a[i]!;
    sb += b[i]!;
  }
  let saa = 0;
  let sbb = 0;
  let sab = 0;
  for (let i = 0; i < n; i++) {
    const da = a[i]! - sa / n;
    const db = b[i]! - sb / n;
    saa += da * da;
    sbb += db * db;
    sab += da * db;
  }
  const flat = n * MIN_CONTRAST * MIN_CONTRAST;
  if (saa < flat && sbb < flat) return null;
  return sab / Math.sqrt(Math.max(saa, flat) * Math.max(sbb, flat));
}
