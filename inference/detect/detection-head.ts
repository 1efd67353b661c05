import { InferenceError } from '../errors.ts';
import type { Candidates } from './candidates.ts';
import type { ModelOutputs } from './session.ts';

/** A model's input in pixels. */
export interface InputPixels {
  readonly width: number;
  readonly height: number;
}

/** How one family of detectors writes down the faces that it sees. */
export interface DetectionHead {
  /** The outputs that it reads, by their names in the graph. */
  readonly tensors: readonly string[];
  /** Boxes that overlap more are one face. */
  readonly maxIou: number;
  /**
   * Adds the faces of at least `minScore` to `faces`, in pixels of the input.
   * @throws InferenceError 'model-unusable' when a tensor is not of the family's shape, 'run-failed' when it holds rubbish
   */
  read(outputs: OutputReader, input: InputPixels, minScore: number, faces: Candidates): void;
}

/** Hands out the outputs of one run, each checked to be as long as the head needs it. */
export class OutputReader {
  readonly #model: string;
  readonly #outputs: ModelOutputs;
  readonly #input: InputPixels;

  constructor(model: string, outputs: ModelOutputs, input: InputPixels) {
    this.#model = model;
    this.#outputs = outputs;
    this.#input = input;
  }

  /** The values of a tensor of so many rows. @throws InferenceError 'model-unusable' */
  take(tensor: string, rows: number, perRow: number): Float32Array {
    const values = this.#outputs[tensor];
    if (values?.length === rows * perRow) return values;
    const { width, height } = this.#input;
    const need = `an input of ${width}×${height} needs ${rows} × ${perRow}`;
    throw new InferenceError(
      'model-unusable',
      `model ${this.#model}: output ${tensor} has ${values?.length ?? 'no'} values; ${need}. Check outputs in its manifest entry`,
    );
  }
}

/** One of the grids of cells that a detector lays over its input. */
export interface Level {
  /** Pixels between two cells. */
  readonly stride: number;
  readonly columns: number;
  readonly cells: number;
}

/** The grids of an input, in the order of `strides`. */
export function levelsOf({ width, height }: InputPixels, strides: readonly number[]): Level[] {
  return strides.map((stride) => {
    const columns = Math.ceil(width / stride);
    return { stride, columns, cells: columns * Math.ceil(height / stride) };
  });
}
