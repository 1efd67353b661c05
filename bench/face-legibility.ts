import type { TruthBox } from './clip-motion.ts';

/** Faces are compared at this many samples a side. */
const SIDE = 32;
/** Radius, in samples, of the local mean that is taken away: what is left is detail of a sixth of the face and finer. */
const MEAN_RADIUS = 3;
/** Part of the box cut off at each edge: background there would speak for the face. */
const MARGIN = 0.1;
/** A face is legible when its detail still correlates this much with the source's ... */
const MIN_CORRELATION = 0.6;
/** ... and keeps more than this part of the source's energy. */
const MIN_ENERGY_PART = 0.25;

export interface FaceComparison {
  /** -1..1, between the detail of the two pictures inside the box. */
  correlation: number;
  legible: boolean;
}

/** Says whether a face can still be read: compares the face-scale detail of two grey pictures inside a box. */
export class FaceLegibility {
  readonly #width: number;
  readonly #height: number;
  readonly #grid = new Float32Array(SIDE * SIDE);
  readonly #sourceDetail = new Float32Array(SIDE * SIDE);
  readonly #outputDetail = new Float32Array(SIDE * SIDE);

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
  }

  /** @returns null where the box lies outside the picture */
  compare(source: Uint8Array, output: Uint8Array, box: TruthBox): FaceComparison | null {
    if (!this.#readDetail(source, box, this.#sourceDetail)) return null;
    if (!this.#readDetail(output, box, this.#outputDetail)) return null;
    let sourceEnergy = 0;
    let outputEnergy = 0;
    let product = 0;
    for (let i = 0; i < SIDE * SIDE; i++) {
      const a = this.#sourceDetail[i]!;
      const b = this.#outputDetail[i]!;
      sourceEnergy += a * a;
      outputEnergy += b * b;
      product += a * b;
    }
    const correlation = product / Math.sqrt(sourceEnergy * outputEnergy + 1e-6);
    return {
      correlation,
      legible: correlation > MIN_CORRELATION && outputEnergy > MIN_ENERGY_PART * sourceEnergy,
    };
  }

  #readDetail(picture: Uint8Array, box: TruthBox, detail: Float32Array): boolean {
    if (!this.#resample(picture, box)) return false;
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const fromCentreX = (x - 15.5) / 16;
        const fromCentreY = (y - 15.5) / 16;
        const inside = fromCentreX * fromCentreX + fromCentreY * fromCentreY <= 1;
        detail[y * SIDE + x] = inside ? this.#grid[y * SIDE + x]! - this.#localMean(x, y) : 0;
      }
    }
    return true;
  }

  #localMean(x: number, y: number): number {
    let sum = 0;
    let count = 0;
    for (let j = Math.max(0, y - MEAN_RADIUS); j <= Math.min(SIDE - 1, y + MEAN_RADIUS); j++) {
      for (let i = Math.max(0, x - MEAN_RADIUS); i <= Math.min(SIDE - 1, x + MEAN_RADIUS); i++) {
        sum += this.#grid[j * SIDE + i]!;
        count++;
      }
    }
    return sum / count;
  }

  /** Averages the inner part of the box into the grid, each sample over at least one pixel. */
  #resample(picture: Uint8Array, [, x, y, width, height]: TruthBox): boolean {
    const left = x + width * MARGIN;
    const top = y + height * MARGIN;
    const stepX = (width * (1 - 2 * MARGIN)) / SIDE;
    const stepY = (height * (1 - 2 * MARGIN)) / SIDE;
    for (let j = 0; j < SIDE; j++) {
      const fromY = Math.max(0, top + j * stepY);
      const toY = Math.min(this.#height, Math.max(fromY + 1, top + (j + 1) * stepY));
      for (let i = 0; i < SIDE; i++) {
        const fromX = Math.max(0, left + i * stepX);
        const toX = Math.min(this.#width, Math.max(fromX + 1, left + (i + 1) * stepX));
        let sum = 0;
        let count = 0;
        for (let row = Math.trunc(fromY); row < toY; row++) {
          for (let column = Math.trunc(fromX); column < toX; column++) {
            sum += picture[row * this.#width + column]!;
            count++;
          }
        }
        if (count === 0) return false;
        this.#grid[j * SIDE + i] = sum / count;
      }
    }
    return true;
  }
}
