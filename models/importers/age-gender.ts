import { type Features, TfjsLayers } from './tfjs-layers.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

const INPUT_SIZE = 112;
const MAIN_BLOCKS = 2;

/**
 * Builds face-api's net of age and gender, a small Xception, as ONNX.
 *
 * Input `face`: float32 [batch, 3, 112, 112], RGB 0..255, less [122.782, 117.001, 104.298], over 255.
 * Outputs `age` [batch, 1], years; `gender` [batch, 2], probabilities: male, female.
 * @param weights of `age_gender_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/ageGenderNet, Chollet 2017
 */
export function buildAgeGender(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  const layers = new TfjsLayers('age-gender', INPUT_SIZE, weights);
  let features = layers.relu(layers.convolve('entry_flow/conv_in', layers.input, 2));
  features = reduction(layers, 'entry_flow/reduction_block_0', features, false);
  features = reduction(layers, 'entry_flow/reduction_block_1', features, true);
  for (let block = 0; block < MAIN_BLOCKS; block++)
    features = main(layers, `middle_flow/main_block_${block}`, features);
  features = reduction(layers, 'exit_flow/reduction_block', features, true);
  const means = layers.means(layers.relu(layers.separable('exit_flow/separable_conv', features)));
  layers.connect('age', means, 'fc/age/weights', 'fc/age/bias');
  const logits = layers.connect('logits', means, 'fc/gender/weights', 'fc/gender/bias');
  layers.graph.op('Softmax', 'gender', [logits], { axis: 1 });
  return layers.finish({ age: 1, gender: 2 });
}

/** Halves the picture. @see TinyXception.ts */
function reduction(layers: TfjsLayers, name: string, from: Features, isInputActivated: boolean): Features {
  // Named apart: the one before may have been activated under its own name.
  const active = isInputActivated ? activated(layers, `${name}/active`, from) : from;
  const first = layers.separable(`${name}/separable_conv0`, active);
  const second = layers.separable(`${name}/separable_conv1`, layers.relu(first));
  const pooled = layers.maxPool(`${name}/pool`, second, 3, 2, 'same');
  return layers.add(`${name}/sum`, pooled, layers.convolve(`${name}/expansion_conv`, from, 2));
}

function main(layers: TfjsLayers, name: string, from: Features): Features {
  let features = from;
  for (const layer of [0, 1, 2]) {
    const active = activated(layers, `${name}/active${layer}`, features);
    features = layers.separable(`${name}/separable_conv${layer}`, active);
  }
  return layers.add(`${name}/sum`, features, from);
}

function activated(layers: TfjsLayers, name: string, from: Features): Features {
  return { ...from, tensor: layers.graph.op('Relu', name, [from.tensor]) };
}
