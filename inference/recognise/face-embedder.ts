import type { Frame } from 'node-av';
import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { Detection, Landmarks } from '../track/box.ts';
import { ChipCutter } from './chip-cutter.ts';
import { chipLandmarks } from './chip-geometry.ts';
import { ChipModel } from './chip-model.ts';
import type { FaceChip } from './face-chip.ts';
import { type LookQuality, measureLook } from './look-quality.ts';
import { makeUnit } from './similarity.ts';
import { fitSimilarity, inverse } from './similarity-transform.ts';

/** One face of one picture, cut out for the recogniser. */
export interface FaceLook {
  readonly quality: LookQuality;
  /** The embedder's own: good until its next look. */
  readonly chip: FaceChip;
}

/** Similarities, 0..1, of one recogniser's embeddings. */
export interface RecognitionThresholds {
  /** From here on two looks are one person. */
  readonly accept: number;
  /** From here on the mean of three looks or more is a person. */
  readonly track: number;
  /** Below it two looks are two people. */
  readonly reject: number;
}

/** Turns faces into embeddings. One instance serves one pipeline; embeddings must not overlap. */
export class FaceEmbedder {
  /** The model's name in the manifest: embeddings of two models are never compared. */
  readonly name: string;
  /** How many numbers an embedding has. */
  readonly dimension: number;
  readonly thresholds: RecognitionThresholds;
  readonly #model: ChipModel;
  readonly #output: string;
  readonly #cutter: ChipCutter;
  readonly #template: Landmarks;

  private constructor(entry: ModelEntry<'recogniser'>, model: ChipModel) {
    const { name, outputs, thresholds, input } = entry;
    this.name = name;
    this.dimension = outputs.dimension;
    this.thresholds = { ...thresholds, track: thresholds.track ?? thresholds.accept };
    this.#output = outputs.embedding;
    this.#model = model;
    this.#cutter = new ChipCutter(input.size.width, input.size.height);
    this.#template = chipLandmarks(entry);
  }

  /**
   * Loads a recogniser. The caller closes it.
   * @param threads that one embedding may use
   * @throws InferenceError 'model-unusable' when the graph does not load or is not as the entry says
   */
  static async open(entry: ModelEntry<'recogniser'>, model: Uint8Array, threads: number): Promise<FaceEmbedder> {
    const { embedding, dimension } = entry.outputs;
    return new FaceEmbedder(entry, await ChipModel.open(entry, model, threads, { [embedding]: dimension }));
  }

  /**
   * Cuts one face out of a picture and judges how well it shows. Borrows the picture, 8-bit 4:2:0.
   * @returns null where the face has no landmarks, or such as are none
   * @throws InferenceError 'run-failed' for a picture of another format
   */
  look(picture: Frame, face: Detection): FaceLook | null {
    const { landmarks } = face;
    const toChip = landmarks && fitSimilarity(landmarks, this.#template);
    if (!toChip) return null;
    const chip = this.#cutter.cut(picture, inverse(toChip));
    const [rightEye, leftEye] = this.#template;
    const chipEyes = Math.hypot(leftEye[0] - rightEye[0], leftEye[1] - rightEye[1]);
    return { chip, quality: measureLook(face, landmarks, chip, chipEyes) };
  }

  /**
   * What the recogniser makes of a chip, of unit length. The chip may change as soon as this returns.
   * @throws InferenceError 'closed' | 'run-failed', also where the model gives no number or no direction
   */
  async embed(chip: FaceChip): Promise<Float32Array> {
    const outputs = await this.#model.run(chip);
    const embedding = outputs[this.#output]!;
    if (!makeUnit(embedding)) throw new InferenceError('run-failed', `${this.name} gave an embedding of no direction`);
    return embedding;
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}
