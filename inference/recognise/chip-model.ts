import { unusable } from '../detect/graph-signature.ts';
import { type ModelOutputs, ModelSession } from '../detect/session.ts';
import { InferenceError } from '../errors.ts';
import { type ChipModelEntry, checkChipSignature, chipDims } from './chip-signature.ts';
import type { FaceChip } from './face-chip.ts';

/** What the model is tried with: grey. */
const TRIAL_VALUE = 128;

/** A model of single faces in a thread of its own, with what feeds it and what checks what it gives. */
export class ChipModel {
  readonly name: string;
  readonly #entry: ChipModelEntry;
  readonly #session: ModelSession;
  readonly #dims: readonly number[];
  readonly #outputs: Readonly<Record<string, number>>;
  readonly #outputNames: readonly string[];
  /** In shared memory, for the model's thread; it must not change while that runs. */
  readonly #tensor: Float32Array;
  /** By channel of the tensor, what each value of a pixel becomes, and where in RGB it is. */
  readonly #channels: readonly { readonly normalised: Float32Array; readonly from: number }[];
  #isRunning = false;

  private constructor(entry: ChipModelEntry, outputs: Readonly<Record<string, number>>, session: ModelSession) {
    this.name = entry.name;
    this.#entry = entry;
    this.#outputs = outputs;
    this.#outputNames = Object.keys(outputs);
    this.#session = session;
    this.#dims = chipDims(entry);
    const { size, channels, mean, scale } = entry.input;
    this.#tensor = new Float32Array(new SharedArrayBuffer(4 * 3 * size.width * size.height));
    this.#channels = mean.map((value, channel) => ({
      normalised: Float32Array.from({ length: 256 }, (_, pixel) => (pixel - value) * scale),
      from: channels === 'RGB' ? channel : 2 - channel,
    }));
  }

  /**
   * Loads a model and tries it once, so that outputs which are not as its entry says are found now.
   * @param outputs that are wanted by their names in the graph, and how many values of each
   * @throws InferenceError 'model-unusable', one line that names the model
   */
  static async open(
    entry: ChipModelEntry,
    model: Uint8Array,
    threads: number,
    outputs: Readonly<Record<string, number>>,
  ): Promise<ChipModel> {
    checkChipSignature(entry, model, outputs);
    const opened = new ChipModel(entry, outputs, await ModelSession.open(entry.name, model, threads));
    try {
      const { width, height } = entry.input.size;
      await opened.run({ width, height, rgb: new Uint8ClampedArray(3 * width * height).fill(TRIAL_VALUE) });
      return opened;
    } catch (error) {
      await opened.close();
      if (error instanceof InferenceError && error.code === 'model-unusable') throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new InferenceError('model-unusable', `model ${entry.name} does not run: ${reason}`, { cause: error });
    }
  }

  /**
   * Shows the model one chip of its size, which may change as soon as this returns. Calls must not overlap.
   * @returns the outputs that were asked for, all numbers finite
   * @throws InferenceError 'closed' | 'run-failed' | 'model-unusable' where an output is not as long as it should be
   */
  async run({ rgb }: Pick<FaceChip, 'width' | 'height' | 'rgb'>): Promise<ModelOutputs> {
    // The tensor is the model's until it is done: two faces must not meet in it.
    if (this.#isRunning) throw new InferenceError('run-failed', `model ${this.name} is running already`);
    this.#isRunning = true;
    try {
      this.#pack(rgb);
      const outputs = await this.#session.run(this.#tensor, this.#dims, this.#outputNames);
      this.#check(outputs);
      return outputs;
    } finally {
      this.#isRunning = false;
    }
  }

  #check(outputs: ModelOutputs): void {
    for (const [name, length] of Object.entries(this.#outputs)) {
      const values = outputs[name]!;
      if (values.length !== length) {
        throw unusable(this.name, `output ${name} has ${values.length} values; its manifest entry says ${length}`);
      }
      if (!values.every(Number.isFinite)) {
        throw new InferenceError('run-failed', `${this.name} gave a result that is no number`);
      }
    }
  }

  /** Ends the model's thread, after the run that is under way. */
  close(): Promise<void> {
    return this.#session.close();
  }

  #pack(rgb: Uint8ClampedArray): void {
    const area = rgb.length / 3;
    const isPlanar = this.#entry.input.layout === 'NCHW';
    const step = isPlanar ? 1 : 3;
    for (const [channel, { normalised, from }] of this.#channels.entries()) {
      let to = isPlanar ? channel * area : channel;
      for (let at = from; at < rgb.length; at += 3, to += step) this.#tensor[to] = normalised[rgb[at]!]!;
    }
  }
}
