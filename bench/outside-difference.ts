import type { TruthBox } from './clip-motion.ts';

/** A box is grown by this part of its size to every side: what blurring may touch around a face. */
const GROWTH = 0.8;
/** The mean difference looks at every seventh pixel only, as the reference measure does. */
const PIXEL_STEP = 7;
/** What is reported where nothing differs, since no finite PSNR would be true: JSON knows no infinity. */
const LOSSLESS_PSNR_DB = 100;

/** Sums up how much two series of grey pictures differ away from every face. */
export class OutsideDifference {
  readonly #width: number;
  readonly #height: number;
  readonly #mask: Uint8Array;
  #meanSum = 0;
  #meanCount = 0;
  #squareSum = 0;
  #squareCount = 0;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#mask = new Uint8Array(width * height);
  }

  add(source: Uint8Array, output: Uint8Array, boxes: readonly TruthBox[]): void {
    this.#cover(boxes);
    let stepSum = 0;
    let stepCount = 0;
    for (let i = 0; i < this.#mask.length; i++) {
      if (this.#mask[i]) continue;
      const difference = source[i]! - output[i]!;
      this.#squareSum += difference * difference;
      this.#squareCount++;
      if (i % PIXEL_STEP !== 0) continue;
      stepSum += Math.abs(difference);
      stepCount++;
    }
    if (stepCount === 0) return;
    this.#meanSum += stepSum / stepCount;
    this.#meanCount++;
  }

  /** Mean over pictures of the mean absolute difference, 0..255. */
  get meanAbsDifference(): number {
    return this.#meanSum / Math.max(1, this.#meanCount);
  }

  /** Of all pixels seen, at a peak of 255; null where there were none, 100 where none differs. */
  get psnrDb(): number | null {
    if (this.#squareCount === 0) return null;
    if (this.#squareSum === 0) return LOSSLESS_PSNR_DB;
    return 10 * Math.log10((255 * 255 * this.#squareCount) / this.#squareSum);
  }

  #cover(boxes: readonly TruthBox[]): void {
    this.#mask.fill(0);
    for (const [, x, y, width, height] of boxes) {
      const left = Math.max(0, Math.trunc(x - width * GROWTH));
      const right = Math.min(this.#width, Math.trunc(x + width * (1 + GROWTH)));
      const bottom = Math.min(this.#height, y + height * (1 + GROWTH));
      for (let row = Math.max(0, Math.trunc(y - height * GROWTH)); row < bottom; row++) {
        this.#mask.fill(1, row * this.#width + left, row * this.#width + right);
      }
    }
  }
}
