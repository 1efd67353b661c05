import { decodeSignature, type Signature } from '../../models/onnx/decode.ts';
import { DataType, type ValueInfo } from '../../models/onnx/model.ts';
import { asInferenceError, InferenceError } from '../errors.ts';

/** More names than this are not listed in a message: a graph may have hundreds. */
const MAX_NAMES = 12;

/**
 * What a graph takes and gives, without loading it.
 * @param model the manifest's name of the model, for messages
 * @throws InferenceError 'model-unusable'
 */
export function readSignature(model: string, bytes: Uint8Array): Signature {
  try {
    return decodeSignature(bytes);
  } catch (error) {
    throw asInferenceError(error, 'model-unusable', `model ${model}`);
  }
}

/** @throws InferenceError 'model-unusable' for a tensor of anything but float32 */
export function checkFloat32(model: string, { name, elementType }: ValueInfo): void {
  if (elementType === DataType.float32) return;
  throw unusable(model, `${name} is of ONNX type ${elementType}, not float32 (1); export the model with float32`);
}

/** For a message. */
export function namesOf(values: readonly ValueInfo[]): string {
  const names = values.map(({ name }) => name);
  return names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')}, …` : names.join(', ');
}

/** A model that is not as its manifest entry says. */
export function unusable(model: string, reason: string): InferenceError {
  return new InferenceError('model-unusable', `model ${model}: ${reason}`);
}
