import { ModelError } from '../errors.ts';
import { float32Value } from '../onnx/model.ts';
import { GraphBuilder } from './graph-builder.ts';
import { type Convolution, convolution, depthwiseConvolution } from './tfjs-convolution.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

/** Separable layers between the first convolution and the last; a pool stands before each, five of six halve. */
const SEPARABLE_LAYERS = [1, 2, 3, 4, 5] as const;
/** @see face-api, tinyYolov2/leaky.ts */
const LEAK = { float: 0.1 };

/**
 * Builds face-api's Tiny face detector, a YOLOv2 of separable convolutions, as ONNX.
 *
 * Input `image`: float32 [1, 3, H, W], H and W multiples of 32; RGB 0..255, less [117.001, 114.697, 97.404], over 255.
 * Output `cells` [1, 25, H / 32, W / 32], not decoded: five planes for each of five anchors.
 * @param weights of `tiny_face_detector_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/tinyYolov2/TinyYolov2Base.ts, runMobilenet
 */
export function buildTinyFace(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  const graph = new GraphBuilder();
  const weight = (name: string): TfjsWeight => {
    const found = weights.get(name);
    if (!found) throw new ModelError('invalid-weights', `the Tiny face detector's weights lack ${name}`);
    return found;
  };
  const convolve = (name: string, from: string, layer: Convolution, pad: number, group = 1): string => {
    const [, , kernel] = layer.dims;
    const filters = graph.constant(`${name}/filters`, layer.dims, layer.weights);
    const bias = graph.constant(`${name}/bias`, [layer.bias.length], layer.bias);
    const shape = {
      dilations: [1, 1],
      group,
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [1, 1],
    };
    return graph.op('Conv', name, [from, filters, bias], shape);
  };
  const leaky = (from: string): string => graph.op('LeakyRelu', `${from}/leaky`, [from], { alpha: LEAK });

  // Not padded, so that its output is two smaller, and after the first pool odd: that pool's successor pads at the end.
  let features = leaky(convolve('conv0', 'image', convolution(weight('conv0/filters'), weight('conv0/bias')), 0));
  for (const layer of SEPARABLE_LAYERS) {
    const atEnd = layer === 2 ? 1 : 0;
    features = pool(graph, `pool${layer}`, features, atEnd, 2);
    const depthwise = depthwiseConvolution(weight(`conv${layer}/depthwise_filter`));
    const pointwise = convolution(weight(`conv${layer}/pointwise_filter`), weight(`conv${layer}/bias`));
    features = convolve(`conv${layer}/depthwise`, features, depthwise, 1, depthwise.dims[0]);
    features = leaky(convolve(`conv${layer}/pointwise`, features, pointwise, 0));
  }
  features = pool(graph, 'pool6', features, 1, 1);
  convolve('cells', features, convolution(weight('conv8/filters'), weight('conv8/bias')), 0);
  return graph.finish(
    'tiny-face',
    [float32Value('image', [1, 3, 'height', 'width'])],
    [float32Value('cells', [1, weight('conv8/bias').values.length, 'rows', 'columns'])],
  );
}

/** 2 × 2, tfjs's 'same': an odd row or column is padded at the end. */
function pool(graph: GraphBuilder, name: string, from: string, atEnd: number, stride: number): string {
  return graph.op('MaxPool', name, [from], {
    kernel_shape: [2, 2],
    pads: [0, 0, atEnd, atEnd],
    strides: [stride, stride],
  });
}
