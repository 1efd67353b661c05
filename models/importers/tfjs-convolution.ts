import { ModelError } from '../errors.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

/** A convolution's weights in ONNX's order, [out, in / group, kernel, kernel], and one bias an output channel. */
export interface Convolution {
  dims: [number, number, number, number];
  weights: Float32Array;
  bias: Float32Array;
}

/** tfjs [kernel, kernel, in, out] → ONNX. Only the output channels named by `keep` are taken, in its order. */
export function convolution(filters: TfjsWeight, bias: TfjsWeight, keep?: number[]): Convolution {
  const [height, width, channelsIn, channelsOut] = fourDims(filters);
  const kept = keep ?? Array.from({ length: channelsOut }, (_, channel) => channel);
  const area = height * width;
  const weights = new Float32Array(kept.length * channelsIn * area);
  kept.forEach((from, to) => {
    for (let channel = 0; channel < channelsIn; channel++) {
      for (let tap = 0; tap < area; tap++) {
        weights[(to * channelsIn + channel) * area + tap] =
          filters.values[(tap * channelsIn + channel) * channelsOut + from];
      }
    }
  });
  return {
    dims: [kept.length, channelsIn, height, width],
    weights,
    bias: Float32Array.from(kept, (channel) => bias.values[channel]),
  };
}

/** The four per-channel vectors of a batch normalisation. */
export interface BatchNorm {
  gamma: TfjsWeight;
  beta: TfjsWeight;
  mean: TfjsWeight;
  variance: TfjsWeight;
  epsilon: number;
}

/**
 * tfjs depthwise [kernel, kernel, channels, 1] and the batch normalisation behind it, if there is one → one ONNX
 * convolution of `channels` groups. Computed in double and rounded once, with operations that IEEE 754 defines exactly.
 */
export function depthwiseConvolution(filters: TfjsWeight, norm?: BatchNorm): Convolution {
  const [height, width, channels] = fourDims(filters);
  const area = height * width;
  const weights = new Float32Array(channels * area);
  const bias = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const scale = norm ? norm.gamma.values[channel] / Math.sqrt(norm.variance.values[channel] + norm.epsilon) : 1;
    for (let tap = 0; tap < area; tap++) {
      weights[channel * area + tap] = filters.values[tap * channels + channel] * scale;
    }
    if (norm) bias[channel] = norm.beta.values[channel] - norm.mean.values[channel] * scale;
  }
  return { dims: [channels, 1, height, width], weights, bias };
}

/**
 * ONNX `pads` [top, left, bottom, right] of tfjs's 'same' padding on a square: the output is ceil(size / stride) wide,
 * and an odd pixel of padding goes to the end. So stride 2 on an even size pads below and to the right only.
 */
export function samePads(size: number, kernel: number, stride: number): [number, number, number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
  const begin = Math.floor(total / 2);
  return [begin, begin, total - begin, total - begin];
}

function fourDims({ shape }: TfjsWeight): [number, number, number, number] {
  const [a, b, c, d] = shape;
  if (shape.length !== 4 || !a || !b || !c || !d) {
    throw new ModelError('invalid-weights', `filters of shape [${shape}]; need four dimensions`);
  }
  return [a, b, c, d];
}
