import type { ModelEntry } from '../../models/manifest.ts';
import type { ValueInfo } from '../../models/onnx/model.ts';
import { checkFloat32, namesOf, readSignature, unusable } from './graph-signature.ts';

/**
 * Checks that a graph takes and gives what its manifest entry says, by name, type and size, before it is loaded.
 * @throws InferenceError 'model-unusable', one line that names the model, the tensor and what is there instead
 */
export function checkSignature(entry: ModelEntry, model: Uint8Array, tensors: readonly string[]): void {
  const { inputs, outputs } = readSignature(entry.name, model);
  const input = inputs.find(({ name }) => name === entry.input.tensor);
  if (!input) throw unusable(entry.name, `there is no input ${entry.input.tensor}; the graph takes ${namesOf(inputs)}`);
  if (inputs.length > 1)
    throw unusable(entry.name, `the graph takes ${namesOf(inputs)}; one picture is all it can have`);
  checkFloat32(entry.name, input);
  checkInputSize(entry, input);
  for (const tensor of tensors) {
    const output = outputs.find(({ name }) => name === tensor);
    if (!output) throw unusable(entry.name, `there is no output ${tensor}; the graph gives ${namesOf(outputs)}`);
    checkFloat32(entry.name, output);
  }
}

function checkInputSize(entry: ModelEntry, { name, shape }: ValueInfo): void {
  if (!shape) return;
  const { size } = entry.input;
  const wanted =
    'multipleOf' in size
      ? `any size, in multiples of ${size.multipleOf}`
      : `height ${size.height} and width ${size.width}`;
  const [batch = 1, channels = 3, height = 0, width = 0] = shape;
  const isPicture = shape.length === 4 && mayBe(batch, 1) && mayBe(channels, 3);
  const isSize =
    'multipleOf' in size ? isOpen(height) && isOpen(width) : mayBe(height, size.height) && mayBe(width, size.width);
  if (isPicture && isSize) return;
  throw unusable(
    entry.name,
    `input ${name} is [${shape.join(', ')}]; its entry says [1, 3, height, width] with ${wanted}`,
  );
}

/** Whether a size of the graph is only known when it runs: named, or not positive, as some exporters write it. */
function isOpen(size: number | string): boolean {
  return typeof size === 'string' || size <= 0;
}

function mayBe(size: number | string, wanted: number): boolean {
  return isOpen(size) || size === wanted;
}
