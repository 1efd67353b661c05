import type { Frame } from 'node-av';
import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { Box } from '../track/box.ts';
import { ChipCutter } from './chip-cutter.ts';
import { ChipModel } from './chip-model.ts';
import { cropSquare } from './crop.ts';
import type { FaceChip } from './face-chip.ts';

/** What of the picture is shown, in longer sides of the box: about the box of 68 landmarks that face-api shows, padded. */
const AROUND = 1.1;
const GENDERS = ['male', 'female'] as const;

type AttributesOf<F> = Extract<ModelEntry<'attributes'>, { family: F }>;

/** A label out of several, and how sure it is, 0..1. */
export interface Label {
  readonly label: string;
  readonly confidence: number;
}

export interface AgeAndGender {
  /** Years. */
  readonly age: number;
  readonly gender: Label;
}

export interface Expression extends Label {
  /** Of every label; together 1. */
  readonly all: Readonly<Record<string, number>>;
}

/** Guesses age and gender of faces. Calls must not overlap. */
export class AgeGenderReader {
  readonly #entry: AttributesOf<'age-gender'>;
  readonly #model: ChipModel;
  readonly #cutter: ChipCutter;

  private constructor(entry: AttributesOf<'age-gender'>, model: ChipModel) {
    this.#entry = entry;
    this.#model = model;
    this.#cutter = cutterFor(entry);
  }

  /** The caller closes it. @throws InferenceError 'model-unusable' */
  static async open(entry: ModelEntry<'attributes'>, model: Uint8Array, threads: number): Promise<AgeGenderReader> {
    if (entry.family !== 'age-gender') throw wrongFamily(entry, 'age-gender');
    const { age, gender } = entry.outputs;
    const outputs = { [age]: 1, [gender]: GENDERS.length };
    return new AgeGenderReader(entry, await ChipModel.open(entry, model, threads, outputs));
  }

  /** Borrows the picture, 8-bit 4:2:0. @throws InferenceError 'closed' | 'run-failed' */
  async read(picture: Frame, face: Box): Promise<AgeAndGender> {
    const outputs = await this.#model.run(cut(this.#cutter, picture, face));
    const [age = 0] = outputs[this.#entry.outputs.age]!;
    return { age: Math.max(0, age), gender: likeliest(GENDERS, outputs[this.#entry.outputs.gender]!) };
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}

/** Guesses what faces express. Calls must not overlap. */
export class ExpressionReader {
  readonly #entry: AttributesOf<'expression'>;
  readonly #model: ChipModel;
  readonly #cutter: ChipCutter;

  private constructor(entry: AttributesOf<'expression'>, model: ChipModel) {
    this.#entry = entry;
    this.#model = model;
    this.#cutter = cutterFor(entry);
  }

  /** The caller closes it. @throws InferenceError 'model-unusable' */
  static async open(entry: ModelEntry<'attributes'>, model: Uint8Array, threads: number): Promise<ExpressionReader> {
    if (entry.family !== 'expression') throw wrongFamily(entry, 'expression');
    const { expressions, labels } = entry.outputs;
    return new ExpressionReader(entry, await ChipModel.open(entry, model, threads, { [expressions]: labels.length }));
  }

  /** Borrows the picture, 8-bit 4:2:0. @throws InferenceError 'closed' | 'run-failed' */
  async read(picture: Frame, face: Box): Promise<Expression> {
    const { expressions, labels } = this.#entry.outputs;
    const values = (await this.#model.run(cut(this.#cutter, picture, face)))[expressions]!;
    const all = Object.fromEntries(labels.map((label, i) => [label, values[i]!]));
    return { ...likeliest(labels, values), all };
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}

function cutterFor({ input }: ModelEntry<'attributes'>): ChipCutter {
  return new ChipCutter(input.size.width, input.size.height);
}

function cut(cutter: ChipCutter, picture: Frame, face: Box): FaceChip {
  const toPicture = cropSquare(face, AROUND, cutter.chip.width);
  if (!(toPicture.a > 0)) throw new InferenceError('run-failed', 'a face of no size has no attributes');
  return cutter.cut(picture, toPicture);
}

function likeliest(labels: readonly string[], values: Float32Array): Label {
  const best = values.indexOf(Math.max(...values));
  return { label: labels[best]!, confidence: values[best]! };
}

function wrongFamily({ name, family }: ModelEntry<'attributes'>, wanted: string): InferenceError {
  return new InferenceError('model-unusable', `model ${name} is of family ${family}, not ${wanted}`);
}
