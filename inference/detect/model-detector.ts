import type { Frame } from 'node-av';
import type { ModelEntry, ModelInput } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { Detection } from '../track/box.ts';
import { Candidates } from './candidates.ts';
import { type DetectionHead, type InputPixels, OutputReader } from './detection-head.ts';
import type { Detector } from './detector.ts';
import { fitFixed, fitInput, Letterbox } from './letterbox.ts';
import { ModelSession } from './session.ts';

/** Sizes of picture and input in use at a time; the one not used for longest goes. */
const MAX_LETTERBOXES = 8;
/** An input of any size is tried with so many of its units across and down: not square, so that a mix-up shows. */
const TRIAL_UNITS = { across: 3, down: 2 };

/** A model in a session of its own, with what feeds it and what reads it. */
export class ModelDetector implements Detector {
  readonly name: string;
  readonly #input: ModelInput;
  readonly #head: DetectionHead;
  readonly #session: ModelSession;
  /** Least recently used first. */
  readonly #letterboxes = new Map<string, Letterbox>();
  #closed = false;

  private constructor({ name, input }: ModelEntry, head: DetectionHead, session: ModelSession) {
    this.name = name;
    this.#input = input;
    this.#head = head;
    this.#session = session;
  }

  /**
   * Loads a model and tries it once, so that outputs which are not as its entry says are found now.
   * @throws InferenceError 'model-unusable'
   */
  static async create(
    entry: ModelEntry,
    head: DetectionHead,
    model: Uint8Array,
    threads: number,
  ): Promise<ModelDetector> {
    const detector = new ModelDetector(entry, head, await ModelSession.open(entry.name, model, threads));
    try {
      await detector.#try();
      return detector;
    } catch (error) {
      await detector.close();
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof InferenceError && error.code === 'model-unusable') throw error;
      throw new InferenceError('model-unusable', `model ${entry.name} does not run: ${reason}`, { cause: error });
    }
  }

  async detect(picture: Frame, inputPx: number, minScore: number): Promise<Detection[]> {
    if (this.#closed) throw new InferenceError('closed', 'the detector is closed');
    const letterbox = this.#letterboxFor(picture, inputPx);
    letterbox.fill(picture);
    const { contentWidth, contentHeight } = letterbox.size;
    const outputs = await this.#run(letterbox.tensor, letterbox.size);
    const faces = new Candidates(this.name, picture.width / contentWidth, picture.height / contentHeight);
    this.#head.read(outputs, letterbox.size, minScore, faces);
    return faces.best(this.#head.maxIou);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const letterbox of this.#letterboxes.values()) letterbox.close();
    this.#letterboxes.clear();
    await this.#session.close();
  }

  async #try(): Promise<void> {
    const { size } = this.#input;
    const { across, down } = TRIAL_UNITS;
    const input = 'multipleOf' in size ? { width: across * size.multipleOf, height: down * size.multipleOf } : size;
    const blank = new Float32Array(new SharedArrayBuffer(4 * 3 * input.width * input.height));
    const outputs = await this.#run(blank, input);
    this.#head.read(outputs, input, Number.POSITIVE_INFINITY, new Candidates(this.name, 1, 1));
  }

  async #run(tensor: Float32Array, input: InputPixels): Promise<OutputReader> {
    const dims = [1, 3, input.height, input.width];
    return new OutputReader(this.name, await this.#session.run(tensor, dims, this.#head.tensors), input);
  }

  #letterboxFor(picture: Frame, inputPx: number): Letterbox {
    const { size } = this.#input;
    const { width, height, format } = picture;
    const key = `${width}x${height}:${format}:${'multipleOf' in size ? inputPx : 'fixed'}`;
    let letterbox = this.#letterboxes.get(key);
    if (letterbox) {
      this.#letterboxes.delete(key);
    } else {
      const fit =
        'multipleOf' in size ? fitInput(width, height, inputPx, size.multipleOf) : fitFixed(width, height, size);
      letterbox = new Letterbox(picture, fit, this.#input);
    }
    this.#letterboxes.set(key, letterbox);
    if (this.#letterboxes.size > MAX_LETTERBOXES) this.#dropOldest();
    return letterbox;
  }

  #dropOldest(): void {
    const [oldest] = this.#letterboxes;
    if (!oldest) return;
    oldest[1].close();
    this.#letterboxes.delete(oldest[0]);
  }
}
