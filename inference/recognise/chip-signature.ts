import type { ModelEntry } from '../../models/manifest.ts';
import type { ValueInfo } from '../../models/onnx/model.ts';
import { checkFloat32, namesOf, readSignature, unusable } from '../detect/graph-signature.ts';

/** A model of single faces. */
export type ChipModelEntry = ModelEntry<'recogniser' | 'landmarks' | 'attributes'>;

/**
 * Checks that a graph takes and gives what its manifest entry says, by name, type and size, before it is loaded.
 * @param outputs that are wanted, and how many values of each
 * @throws InferenceError 'model-unusable', one line that names the model, the tensor and what is there instead
 */
export function checkChipSignature(
  entry: ChipModelEntry,
  model: Uint8Array,
  outputs: Readonly<Record<string, number>>,
): void {
  const signature = readSignature(entry.name, model);
  const input = find(entry, signature.inputs, 'input', entry.input.tensor);
  if (signature.inputs.length > 1) {
    throw unusable(entry.name, `the graph takes ${namesOf(signature.inputs)}; one chip is all it can have`);
  }
  check(entry, input, chipDims(entry));
  for (const [name, values] of Object.entries(outputs)) {
    check(entry, find(entry, signature.outputs, 'output', name), [1, values]);
  }
}

/** The dimensions of the tensor that a model is fed. */
export function chipDims({ input }: ChipModelEntry): number[] {
  const { width, height } = input.size;
  return input.layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3];
}

function find(entry: ChipModelEntry, values: readonly ValueInfo[], what: string, name: string): ValueInfo {
  const found = values.find((value) => value.name === name);
  if (found) return found;
  throw unusable(entry.name, `there is no ${what} ${name}; the graph has ${namesOf(values)}`);
}

/** A rank or size that is open until the graph runs is taken on trust; running it once tells. */
function check(entry: ChipModelEntry, value: ValueInfo, dims: readonly number[]): void {
  checkFloat32(entry.name, value);
  const { name, shape } = value;
  if (!shape) return;
  const fits = shape.length === dims.length && shape.every((size, i) => typeof size === 'string' || size === dims[i]);
  if (!fits) throw unusable(entry.name, `${name} is [${shape.join(', ')}]; its entry says [${dims.join(', ')}]`);
}
