import { convolution } from './tfjs-convolution.ts';
import { type Features, TfjsLayers } from './tfjs-layers.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

const INPUT_SIZE = 150;
const DIMENSION = 128;
/** After the first convolution and pool. A `down` halves the picture, and widens it unless it is the last. */
const BLOCKS = [
  'conv32_1',
  'conv32_2',
  'conv32_3',
  'conv64_down',
  'conv64_1',
  'conv64_2',
  'conv64_3',
  'conv128_down',
  'conv128_1',
  'conv128_2',
  'conv256_down',
  'conv256_1',
  'conv256_2',
  'conv256_down_out',
] as const;

/**
 * Builds face-api's recogniser, dlib's ResNet of 29 layers, as ONNX.
 *
 * Input `face`: float32 [batch, 3, 150, 150], RGB 0..255, less [122.782, 117.001, 104.298], over 255.
 * Output `embedding` [batch, 128], not of unit length. Each layer's scale is folded into its convolution.
 * @param weights of `face_recognition_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/faceRecognitionNet, King 2017 (dlib_face_recognition_resnet_model_v1)
 */
export function buildFaceRecogniser(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  const layers = new TfjsLayers('face-recogniser', INPUT_SIZE, weights);
  let features = layers.relu(scaled(layers, 'conv32_down', layers.input, 2));
  features = layers.maxPool('pool', features, 3, 2, 'valid');
  for (const name of BLOCKS) features = residual(layers, name, features, name.includes('down') ? 2 : 1);
  layers.connect('embedding', layers.means(features), 'fc');
  return layers.finish({ embedding: DIMENSION });
}

/** @see residualLayer.ts */
function residual(layers: TfjsLayers, name: string, from: Features, stride: number): Features {
  const inner = scaled(layers, `${name}/conv2`, layers.relu(scaled(layers, `${name}/conv1`, from, stride)), 1);
  if (stride === 1) return layers.relu(layers.add(`${name}/sum`, inner, from));
  const size = Math.floor(from.size / 2);
  const pooled = layers.graph.op('AveragePool', `${name}/pooled`, [from.tensor], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  // What is smaller gets zeros at its end: the convolved picture a row and a column, the pooled one channels.
  const bypass = pad(layers, `${name}/bypass`, { ...from, tensor: pooled, size }, inner.channels, size);
  const convolved = pad(layers, `${name}/convolved`, inner, inner.channels, size);
  return layers.relu(layers.add(`${name}/sum`, bypass, convolved));
}

function pad(layers: TfjsLayers, name: string, from: Features, channels: number, size: number): Features {
  const [more, longer] = [channels - from.channels, size - from.size];
  if (more === 0 && longer === 0) return from;
  const pads = layers.graph.integers(`${name}/pads`, [0, 0, 0, 0, 0, more, longer, longer]);
  return { tensor: layers.graph.op('Pad', name, [from.tensor, pads]), channels, size };
}

/** A convolution and the scale behind it; of stride 2 it is not padded. @see convLayer.ts, scaleLayer.ts */
function scaled(layers: TfjsLayers, name: string, from: Features, stride: number): Features {
  const { dims, weights, bias } = convolution(
    layers.weight(`${name}/conv/filters`),
    layers.weight(`${name}/conv/bias`),
  );
  const factors = layers.weight(`${name}/scale/weights`).values;
  const offsets = layers.weight(`${name}/scale/biases`).values;
  const perChannel = weights.length / dims[0];
  const folded = {
    dims,
    weights: weights.map((value, i) => value * factors[Math.floor(i / perChannel)]!),
    bias: bias.map((value, i) => value * factors[i]! + offsets[i]!),
  };
  return layers.apply({ name, weights: folded, stride, padding: stride === 2 ? 'valid' : 'same' }, from);
}
