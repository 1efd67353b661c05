import type { Page } from 'playwright-core';
import type { Truth } from '../../bench/clip-motion.ts';
import { FaceLegibility } from '../../bench/face-legibility.ts';
import { readLuma } from '../../bench/luma-reader.ts';
import { OutsideDifference } from '../../bench/outside-difference.ts';

/** Two pictures are compared at every so many-th pixel to find out which one was played. */
const MATCH_STEP = 13;

export interface PlayedFigures {
  /** Faces looked at, over all pictures. */
  readonly faces: number;
  /** Of these, those that can still be read. */
  readonly legible: number;
  /** Of the pictures away from faces; null where nothing could be compared. */
  readonly psnrOutsideDb: number | null;
  /** Pictures of the clip that were seen, each counted once. */
  readonly pictures: number;
}

/** Reads what a `<video>` of a page shows, and compares it with the clip that it was made from. */
export class PlayedPicture {
  readonly #truth: Truth;
  readonly #sources: readonly Uint8Array[];

  private constructor(truth: Truth, sources: readonly Uint8Array[]) {
    this.#truth = truth;
    this.#sources = sources;
  }

  static async of(clip: { readonly path: string; readonly truth: Truth }): Promise<PlayedPicture> {
    const sources: Uint8Array[] = [];
    for await (const luma of readLuma(clip.path, clip.truth.width, clip.truth.height)) {
      sources.push(Uint8Array.from(luma));
    }
    return new PlayedPicture(clip.truth, sources);
  }

  /** Takes so many pictures off the screen, at a size of their own, and measures each against its source. */
  async measure(page: Page, selector: string, count: number): Promise<PlayedFigures> {
    const { width, height, frames } = this.#truth;
    const legibility = new FaceLegibility(width, height);
    const outside = new OutsideDifference(width, height);
    const seen = new Set<number>();
    let [faces, legible] = [0, 0];
    for (let taken = 0; taken < count; taken++) {
      const luma = await takeLuma(page, selector, width, height);
      const index = this.#indexOf(luma);
      seen.add(index);
      outside.add(this.#sources[index]!, luma, frames[index]!);
      for (const box of frames[index]!) {
        const comparison = legibility.compare(this.#sources[index]!, luma, box);
        if (!comparison) continue;
        faces++;
        if (comparison.legible) legible++;
      }
    }
    return { faces, legible, psnrOutsideDb: outside.psnrDb, pictures: seen.size };
  }

  /** The picture of the clip that looks most like this one: masks move with their faces and change little of that. */
  #indexOf(luma: Uint8Array): number {
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const [index, source] of this.#sources.entries()) {
      let sum = 0;
      for (let i = 0; i < luma.length; i += MATCH_STEP) sum += Math.abs(luma[i]! - source[i]!);
      if (sum < least) [best, least] = [index, sum];
    }
    return best;
  }
}

/** The next picture that a video shows, as grey bytes of this size. */
async function takeLuma(page: Page, selector: string, width: number, height: number): Promise<Uint8Array> {
  const base64 = await page.evaluate(`(async () => {
    const video = document.querySelector(${JSON.stringify(selector)});
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    const canvas = new OffscreenCanvas(${width}, ${height});
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, 0, ${width}, ${height});
    const { data } = context.getImageData(0, 0, ${width}, ${height});
    const luma = new Uint8Array(${width * height});
    for (let i = 0; i < luma.length; i++) {
      luma[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    }
    return luma.toBase64 ? luma.toBase64() : btoa(Array.from(luma, (byte) => String.fromCharCode(byte)).join(''));
  })()`);
  return Buffer.from(base64 as string, 'base64');
}
