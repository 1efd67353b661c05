import type { Frame } from 'node-av';
import { shiftBetween } from './camera-shift.ts';

/** Every so many-th row and column is read. */
const STEP = 8;
const BINS = 32;
const THUMB_WIDTH = 32;
const THUMB_HEIGHT = 18;
/** Below this correlation of two successive thumbnails, they show different scenes. */
const MIN_CORRELATION = 0.5;
/** Or below these two together: the tones changed and the picture with them. */
const MIN_TONES_IN_COMMON = 0.5;
const MIN_CORRELATION_OF_OTHER_TONES = 0.8;
/** A picture whose thumbnail varies less than this (luma levels) has nothing to correlate. */
const MIN_CONTRAST = 4;
/** Profiles have about this many entries a picture's width. */
const PROFILE_LENGTH = 320;

interface Look {
  readonly width: number;
  readonly height: number;
  readonly histogram: Float32Array;
  readonly thumb: Float32Array;
  readonly columns: Float32Array;
  readonly rows: Float32Array;
  readonly binPx: number;
}

/** What changed from the frame before to this one. */
export interface SceneChange {
  /** A new scene starts with this frame. */
  readonly cut: boolean;
  /** How far the whole picture moved, in pixels: of a face that stands still in the world, too. */
  readonly dx: number;
  readonly dy: number;
}

/** Watches luma from frame to frame for cuts and for the camera's own motion, at a fraction of a millisecond each. */
export class SceneWatch {
  #last: Look | undefined;

  /** Looks at the next frame, which it borrows. */
  observe(picture: Frame): SceneChange {
    const look = lookAt(picture);
    const last = this.#last;
    this.#last = look;
    if (!last || last.width !== look.width || last.height !== look.height) return { cut: true, dx: 0, dy: 0 };
    if (isCut(last, look)) return { cut: true, dx: 0, dy: 0 };
    return {
      cut: false,
      dx: shiftBetween(last.columns, look.columns) * look.binPx,
      dy: shiftBetween(last.rows, look.rows) * look.binPx,
    };
  }
}

function lookAt(picture: Frame): Look {
  const { width, height } = picture;
  const luma = picture.data![0]!;
  const stride = picture.linesize[0]!;
  const binPx = Math.max(1, Math.round(width / PROFILE_LENGTH));
  const histogram = new Float32Array(BINS);
  const thumb = new Float32Array(THUMB_WIDTH * THUMB_HEIGHT);
  const counts = new Float32Array(THUMB_WIDTH * THUMB_HEIGHT);
  const columns = new Float32Array(Math.max(1, Math.floor(width / binPx)));
  const rows = new Float32Array(Math.max(1, Math.floor(height / binPx)));
  for (let y = STEP >> 1; y < height; y += STEP) {
    const row = y * stride;
    for (let bin = 0, i = row; bin < columns.length; bin++) {
      let sum = 0;
      for (const end = i + binPx; i < end; i++) sum += luma[i]!;
      columns[bin]! += sum;
    }
    const thumbRow = Math.floor((y * THUMB_HEIGHT) / height) * THUMB_WIDTH;
    for (let x = STEP >> 1; x < width; x += STEP) {
      const value = luma[row + x]!;
      histogram[value >> 3]!++;
      const cell = thumbRow + Math.floor((x * THUMB_WIDTH) / width);
      thumb[cell]! += value;
      counts[cell]!++;
    }
  }
  for (let bin = 0, y = 0; bin < rows.length; bin++) {
    let sum = 0;
    for (const end = y + binPx; y < end; y++) {
      const row = y * stride;
      for (let i = row + (STEP >> 1); i < row + width; i += STEP) sum += luma[i]!;
    }
    rows[bin] = sum;
  }
  let samples = 0;
  for (const count of histogram) samples += count;
  for (let i = 0; i < BINS; i++) histogram[i]! /= Math.max(1, samples);
  for (let i = 0; i < thumb.length; i++) thumb[i]! /= Math.max(1, counts[i]!);
  level(columns, binPx * Math.ceil(height / STEP));
  level(rows, binPx * Math.ceil(width / STEP));
  return { width, height, histogram, thumb, columns, rows, binPx };
}

/** Sums to means, less their own mean: a change of exposure moves no profile. */
function level(sums: Float32Array, samples: number): void {
  let mean = 0;
  for (let i = 0; i < sums.length; i++) mean += sums[i]! / sums.length;
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i]! - mean) / samples;
}

function isCut(a: Look, b: Look): boolean {
  let common = 0;
  for (let i = 0; i < BINS; i++) common += Math.min(a.histogram[i]!, b.histogram[i]!);
  const correlation = correlate(a.thumb, b.thumb);
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
