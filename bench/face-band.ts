/** Detail of so many cycles across a face's width. */
export interface Band {
  readonly from: number;
  readonly to: number;
}

/** A face is read in this band, most of all in its lowest octave (Näsänen 1999). */
export const READING_BAND: Band = { from: 8, to: 32 };
/** Below it lies where light and dark are: the shape of a head, hair, a beard. */
export const COARSE_BAND: Band = { from: 3, to: 8 };
/** Detail finer than this part of what pixels can hold is the resampler's rather than the face's. */
const NYQUIST_PART = 0.9;

/** The detail of one face in the band in which faces are read: complex amplitudes, real and imaginary by turns. */
export type BandDetail = Float64Array;

/** Reads faces of one size in one band: `width` × `height` pixels, of which those in the ellipse that just fits count. */
export class FaceBand {
  readonly #width: number;
  readonly #height: number;
  readonly #window: Float64Array;
  /** Frequencies of the half plane that lie in the band, in cycles across the face. */
  readonly #frequencies: readonly { readonly u: number; readonly v: number; readonly ring: number }[];
  readonly #lowest: number;
  readonly #highest: number;

  constructor(width: number, height: number, band: Band = READING_BAND) {
    this.#width = width;
    this.#height = height;
    this.#window = raisedCosine(width, height);
    this.#lowest = band.from;
    this.#highest = Math.min(band.to, Math.floor((NYQUIST_PART * width) / 2));
    const frequencies = [];
    for (let v = 0; v <= this.#highest; v++) {
      for (let u = -this.#highest; u <= this.#highest; u++) {
        const cycles = Math.hypot(u, v);
        if (cycles >= band.from && cycles <= this.#highest && (v > 0 || u > 0)) {
          frequencies.push({ u, v, ring: Math.floor(cycles) - band.from });
        }
      }
    }
    this.#frequencies = frequencies;
  }

  /** Rings of equal frequency, a cycle wide each. */
  get rings(): number {
    return this.#highest - this.#lowest + 1;
  }

  /** @param luma the grey values of a picture, `stride` to a row; the face begins at `left`, `top` */
  detailOf(luma: ArrayLike<number>, stride: number, left: number, top: number): BandDetail {
    const [width, height, window] = [this.#width, this.#height, this.#window];
    let sum = 0;
    let weights = 0;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        sum += window[i]! * luma[(top + y) * stride + left + x]!;
        weights += window[i]!;
      }
    }
    const mean = sum / weights;
    const highest = this.#highest;
    // Rows first, then columns, for the few frequencies that are asked for.
    const rows = new Float64Array((2 * highest + 1) * height * 2);
    const turns = Array.from({ length: 2 * highest + 1 }, (_, index) => turn(index - highest, width, width));
    const line = new Float64Array(width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        line[x] = window[y * width + x]! * (luma[(top + y) * stride + left + x]! - mean);
      }
      for (const [index, wave] of turns.entries()) {
        let re = 0;
        let im = 0;
        for (let x = 0; x < width; x++) {
          re += line[x]! * wave[2 * x]!;
          im += line[x]! * wave[2 * x + 1]!;
        }
        rows[(index * height + y) * 2] = re;
        rows[(index * height + y) * 2 + 1] = im;
      }
    }
    const columnTurns = Array.from({ length: highest + 1 }, (_, v) => turn(v, width, height));
    const detail = new Float64Array(2 * this.#frequencies.length);
    for (const [index, { u, v }] of this.#frequencies.entries()) {
      const wave = columnTurns[v]!;
      const start = (u + highest) * height;
      let re = 0;
      let im = 0;
      for (let y = 0; y < height; y++) {
        const [a, b] = [rows[(start + y) * 2]!, rows[(start + y) * 2 + 1]!];
        re += a * wave[2 * y]! - b * wave[2 * y + 1]!;
        im += a * wave[2 * y + 1]! + b * wave[2 * y]!;
      }
      detail[2 * index] = re;
      detail[2 * index + 1] = im;
    }
    return detail;
  }

  /**
   * How alike two faces are in the band.
   * @param gains what the second one's rings are multiplied by before
   * @returns -1..1; 0 where one of them has no detail
   */
  correlation(source: BandDetail, other: BandDetail, gains?: ArrayLike<number>): number {
    let product = 0;
    let sourceEnergy = 0;
    let otherEnergy = 0;
    for (const [index, { ring }] of this.#frequencies.entries()) {
      const gain = gains ? gains[ring]! : 1;
      const [a, b] = [source[2 * index]!, source[2 * index + 1]!];
      const [c, d] = [other[2 * index]! * gain, other[2 * index + 1]! * gain];
      product += a * c + b * d;
      sourceEnergy += a * a + b * b;
      otherEnergy += c * c + d * d;
    }
    return otherEnergy > NO_ENERGY && sourceEnergy > NO_ENERGY ? product / Math.sqrt(sourceEnergy * otherEnergy) : 0;
  }

  /** Adds to each ring how much of the source is in the other, and the other's energy: what a best gain is made of. */
  addRings(source: BandDetail, other: BandDetail, sums: RingSums, sign = 1): void {
    for (const [index, { ring }] of this.#frequencies.entries()) {
      const [a, b] = [source[2 * index]!, source[2 * index + 1]!];
      const [c, d] = [other[2 * index]!, other[2 * index + 1]!];
      sums.product[ring]! += sign * (a * c + b * d);
      sums.energy[ring]! += sign * (c * c + d * d);
    }
  }
}

/** Below this an amplitude is the arithmetic's own error. */
const NO_ENERGY = 1e-9;

export interface RingSums {
  readonly product: Float64Array;
  readonly energy: Float64Array;
}

/** The gain of each ring that brings the others nearest to their sources, by least squares (Wiener). */
export function bestGains({ product, energy }: RingSums): Float64Array {
  return product.map((value, ring) => (energy[ring]! > NO_ENERGY ? value / energy[ring]! : 0));
}

/** cos² from the middle of the face to the edge of its ellipse. */
function raisedCosine(width: number, height: number): Float64Array {
  const window = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const away = Math.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5) * 2;
      window[y * width + x] = away < 1 ? Math.cos((Math.PI / 2) * away) ** 2 : 0;
    }
  }
  return window;
}

/** e^(-2πi·cycles·x/period) for each x. */
function turn(cycles: number, period: number, length: number): Float64Array {
  const wave = new Float64Array(2 * length);
  for (let x = 0; x < length; x++) {
    wave[2 * x] = Math.cos((2 * Math.PI * cycles * x) / period);
    wave[2 * x + 1] = -Math.sin((2 * Math.PI * cycles * x) / period);
  }
  return wave;
}
