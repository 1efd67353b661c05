import { hash } from 'node:crypto';
import { GraphBuilder } from '../../../models/importers/graph-builder.ts';
import type { ChipInput, ModelEntry } from '../../../models/manifest.ts';
import { float32Value } from '../../../models/onnx/model.ts';

/** What the graph's input and output are called. */
export const INPUT = 'chip';
export const OUTPUT = 'embedding';
/** Pixels of a cell's side. */
export const CELL = 8;

/** A recogniser's signature, as a user writes it into the manifest. */
export interface RecogniserSignature {
  readonly family: ModelEntry<'recogniser'>['family'];
  readonly input: Omit<ChipInput, 'tensor'>;
  readonly dimension: number;
  readonly chip?: ModelEntry<'recogniser'>['chip'];
}

/** What a test may change of a graph, to break it. */
export interface Twist {
  /** Numbers of the graph's embedding. */
  readonly dimension?: number;
  /** Multiplies the embedding. */
  readonly factor?: number;
  /** Added to a number that is not 0 once the chip is bright somewhere, so that a blank one passes. */
  readonly onBright?: number;
}

/**
 * Builds a graph of a recogniser's signature whose embedding says where its chip is bright: number i is how bright, 0..1,
 * cell i is in the first of the input's planes, row by row; the last number stands for all cells that there is none for.
 */
export function recogniserGraph(signature: RecogniserSignature, twist: Twist = {}): Uint8Array {
  const { layout, mean, scale, size } = signature.input;
  const dimension = twist.dimension ?? signature.dimension;
  const [columns, rows] = [size.width / CELL, size.height / CELL].map(Math.floor) as [number, number];
  const builder = new GraphBuilder();
  const planar = layout === 'NCHW' ? INPUT : builder.op('Transpose', 'planar', [INPUT], { perm: [0, 3, 1, 2] });
  const area = CELL * CELL;
  const weights = Array.from({ length: 3 * area }, (_, i) => (i < area ? 1 / (area * 255 * scale) : 0));
  const bright = builder.op(
    'Conv',
    'bright',
    [planar, builder.constant('weights', [1, 3, CELL, CELL], weights), builder.constant('bias', [1], [mean[0] / 255])],
    { kernel_shape: [CELL, CELL], strides: [CELL, CELL] },
  );
  const flat = builder.op('Flatten', 'flat', [bright], { axis: 1 });
  const cells = columns * rows;
  const toNumbers = new Float32Array(cells * dimension);
  for (let cell = 0; cell < cells; cell++) {
    toNumbers[cell * dimension + Math.min(cell, dimension - 1)] = twist.factor ?? 1;
  }
  const numbers = builder.op('Gemm', twist.onBright === undefined ? OUTPUT : 'numbers', [
    flat,
    builder.constant('toNumbers', [cells, dimension], toNumbers),
  ]);
  if (twist.onBright !== undefined) {
    // (x > 0.9) as a number, times what is added: NaN times 0 would be NaN on a blank chip as well.
    const isBright = builder.op('Greater', 'isBright', [numbers, builder.constant('limit', [], [0.9])]);
    builder.op('Where', OUTPUT, [isBright, builder.constant('added', [], [twist.onBright]), numbers]);
  }
  const dims = layout === 'NCHW' ? [1, 3, size.height, size.width] : [1, size.height, size.width, 3];
  return builder.finish('recogniser', [float32Value(INPUT, dims)], [float32Value(OUTPUT, ['batch', dimension])]);
}

/** The manifest entry of a graph. */
export function recogniserEntry(signature: RecogniserSignature, model: Uint8Array): ModelEntry<'recogniser'> {
  const { family, input, dimension, chip } = signature;
  return {
    name: `my-${family}`,
    kind: 'recogniser',
    family,
    file: `my-${family}.onnx`,
    bytes: model.length,
    sha256: hash('sha256', model, 'hex'),
    licence: 'MIT',
    source: { type: 'file' },
    input: { tensor: INPUT, ...input },
    outputs: { embedding: OUTPUT, dimension },
    thresholds: { accept: 0.4, reject: 0.2 },
    ...(chip && { chip }),
  };
}
