import type { Frame } from 'node-av';
import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import { type Box, type Detection, type Landmarks, mapFive } from '../track/box.ts';
import { ChipCutter } from './chip-cutter.ts';
import { ChipModel } from './chip-model.ts';
import { cropSquare } from './crop.ts';
import { apply } from './similarity-transform.ts';

const POINTS = 68;
/** What of the picture is shown, in longer sides of the box. From 0.9 to 1.3 the points differ by 1 % of the eyes' distance. */
const AROUND = 1.1;
/** By 300-W's numbers, counted from 0: each of the five is the middle of these. */
const FIVE = [[36, 37, 38, 39, 40, 41], [42, 43, 44, 45, 46, 47], [30], [48], [54]] as const;

/** Finds the five landmarks of faces whose detector gives none. Calls must not overlap. */
export class LandmarkFinder {
  readonly name: string;
  readonly #model: ChipModel;
  readonly #output: string;
  readonly #cutter: ChipCutter;

  private constructor({ name, outputs, input }: ModelEntry<'landmarks'>, model: ChipModel) {
    this.name = name;
    this.#output = outputs.landmarks;
    this.#model = model;
    this.#cutter = new ChipCutter(input.size.width, input.size.height);
  }

  /**
   * Loads a landmark model. The caller closes it.
   * @throws InferenceError 'model-unusable' when the graph does not load or is not as the entry says
   */
  static async open(entry: ModelEntry<'landmarks'>, model: Uint8Array, threads: number): Promise<LandmarkFinder> {
    return new LandmarkFinder(
      entry,
      await ChipModel.open(entry, model, threads, { [entry.outputs.landmarks]: 2 * POINTS }),
    );
  }

  /**
   * The face with its five landmarks: those that it has, or else those that are found. Borrows the picture, 8-bit 4:2:0.
   * @throws InferenceError 'closed' | 'run-failed'
   */
  async complete(picture: Frame, face: Detection): Promise<Detection & { readonly landmarks: Landmarks }> {
    return { ...face, landmarks: face.landmarks ?? (await this.find(picture, face)) };
  }

  /** The five landmarks in a face's box. @throws InferenceError as `complete` */
  async find(picture: Frame, face: Box): Promise<Landmarks> {
    const { width, height } = this.#cutter.chip;
    const toPicture = cropSquare(face, AROUND, width);
    if (!(toPicture.a > 0)) throw new InferenceError('run-failed', 'a face of no size has no landmarks');
    const points = (await this.#model.run(this.#cutter.cut(picture, toPicture)))[this.#output]!;
    return mapFive<readonly number[]>(FIVE, (members) => {
      const [sumX, sumY] = members.reduce(([x, y], i) => [x + points[2 * i]!, y + points[2 * i + 1]!], [0, 0]);
      return apply(toPicture, [(sumX! / members.length) * width - 0.5, (sumY! / members.length) * height - 0.5]);
    });
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}
