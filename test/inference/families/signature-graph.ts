import { hash } from 'node:crypto';
import { GraphBuilder } from '../../../models/importers/graph-builder.ts';
import type { ModelEntry, ModelInput } from '../../../models/manifest.ts';
import { float32Value } from '../../../models/onnx/model.ts';

/** What a graph's input is called. */
export const INPUT = 'picture';

/** How a signature's input is normalised and ordered; the graph sees through it to the pixel. */
export type Pixels = Pick<ModelInput, 'channels' | 'mean' | 'scale'>;

/**
 * Builds a graph of a detector's signature that sees bright squares: each cell of a level gives values that are multiples
 * of how bright (0..1) its pixels are in the first of the input's planes.
 */
export class SignatureGraph {
  readonly builder = new GraphBuilder();
  readonly #pixels: Pixels;
  readonly #outputs: string[] = [];

  constructor(pixels: Pixels) {
    this.#pixels = pixels;
  }

  /** @returns a tensor [1, rows, columns, values.length]: what a fully bright cell gives is `values` */
  cells(name: string, stride: number, values: readonly number[]): string {
    const area = stride * stride;
    const weights = values.flatMap((value) =>
      Array.from({ length: 3 * area }, (_, i) => (i < area ? value / (area * 255 * this.#pixels.scale) : 0)),
    );
    const dims = [values.length, 3, stride, stride];
    const bias = values.map((value) => (value * this.#pixels.mean[0]) / 255);
    const planes = this.builder.op(
      'Conv',
      `${name}/planes`,
      [
        INPUT,
        this.builder.constant(`${name}/weights`, dims, weights),
        this.builder.constant(`${name}/bias`, [values.length], bias),
      ],
      { kernel_shape: [stride, stride], strides: [stride, stride] },
    );
    return this.builder.op('Transpose', `${name}/cells`, [planes], { perm: [0, 2, 3, 1] });
  }

  /** @returns `from` as rows of so many values: [1, N, perRow], or [N, perRow] where it is not batched */
  rows(name: string, from: string, perRow: number, isBatched = true): string {
    const shape = this.builder.integers(`${name}/shape`, isBatched ? [1, -1, perRow] : [-1, perRow]);
    return this.builder.op('Reshape', name, [from, shape]);
  }

  /** Names an output. @returns its name */
  output(name: string): string {
    this.#outputs.push(name);
    return name;
  }

  finish(size: ModelInput['size']): Uint8Array {
    const sides = 'multipleOf' in size ? ['height', 'width'] : [size.height, size.width];
    return this.builder.finish(
      'signature',
      [float32Value(INPUT, [1, 3, ...sides])],
      // Of any rank, as some exporters leave it.
      this.#outputs.map((name) => ({ ...float32Value(name, []), shape: undefined })),
    );
  }
}

/** The rest of a manifest entry that a user writes for a file. */
export function broughtEntry<F extends ModelEntry['family']>(
  family: F,
  model: Uint8Array,
  rest: { input: Pixels & { size: ModelInput['size'] }; outputs: Extract<ModelEntry, { family: F }>['outputs'] },
): ModelEntry {
  return {
    name: `my-${family}`,
    kind: 'detector',
    family,
    file: `my-${family}.onnx`,
    bytes: model.length,
    sha256: hash('sha256', model, 'hex'),
    licence: 'MIT',
    source: { type: 'file' },
    input: { tensor: INPUT, layout: 'NCHW', ...rest.input },
    outputs: rest.outputs,
  } as ModelEntry;
}
