import { ModelError } from '../errors.ts';
import { float32Value } from '../onnx/model.ts';
import { GraphBuilder } from './graph-builder.ts';
import type { Convolution } from './tfjs-convolution.ts';
import { convolution, depthwiseConvolution, samePads } from './tfjs-convolution.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

const INPUT_SIZE = 512;
/** Of the batch normalisations. @see face-api, mobileNetV1.ts */
const EPSILON = 0.0010000000474974513;
/** Depthwise layers that halve the picture. @see face-api, mobileNetV1.ts, getStridesForLayerIdx */
const STRIDE_2_LAYERS = [2, 4, 6, 12];
const LAST_LAYER = 13;
/** The finest predictor reads this layer, the next one the last layer. */
const FINEST_PREDICTOR_LAYER = 11;
const CLASSES = 3;
/** Class 0 is background, 2 is unused: face-api reads class 1 only. @see outputLayer.ts */
const FACE_CLASS = 1;
/** Anchor centre moves by encoding / 10 · size; size grows by exp(encoding / 5). @see outputLayer.ts, decodeBoxesLayer */
const CENTRE_VARIANCE = 10;
const SIZE_VARIANCE = 5;

/** A tensor of the graph, NCHW, of `size` × `size`. */
interface Features {
  tensor: string;
  size: number;
}

/**
 * Builds face-api's SSD-MobileNetV1 face detector as ONNX.
 *
 * Input `image`: float32 [1, 3, 512, 512], RGB 0..255; the network's own normalisation is inside.
 * Outputs, before NMS: `boxes` [1, 5118, 4] as x1, y1, x2, y2 in 0..1 of the square (may lie outside), decoded from
 * face-api's y-first order; `scores` [1, 5118], 0..1.
 * @param weights of `ssd_mobilenetv1_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/ssdMobilenetv1, Howard et al. 2017, Liu et al. 2016
 */
export function buildSsdMobilenetV1(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  return new SsdGraph(weights).build();
}

class SsdGraph {
  readonly #weights: ReadonlyMap<string, TfjsWeight>;
  readonly #graph = new GraphBuilder();

  constructor(weights: ReadonlyMap<string, TfjsWeight>) {
    this.#weights = weights;
  }

  build(): Uint8Array {
    this.#graph.constant('zero', [], [0]);
    this.#graph.constant('six', [], [6]);
    this.#graph.integers('flatBoxesShape', [1, -1, 4]);
    this.#graph.integers('flatScoresShape', [1, -1]);
    const predictors = this.#backbone();
    const encodings = predictors.map((from, index) => this.#boxEncodings(from, index));
    const logits = predictors.map((from, index) => this.#faceLogits(from, index));
    this.#graph.op('Sigmoid', 'scores', [this.#graph.op('Concat', 'logits', logits, { axis: 1 })]);
    const anchors = this.#decodeBoxes(this.#graph.op('Concat', 'encodings', encodings, { axis: 1 }));
    return this.#graph.finish(
      'ssd-mobilenet-v1',
      [float32Value('image', [1, 3, INPUT_SIZE, INPUT_SIZE])],
      [float32Value('boxes', [1, anchors, 4]), float32Value('scores', [1, anchors])],
    );
  }

  /** @returns what the six predictors read, finest first. @see mobileNetV1.ts, predictionLayer.ts */
  #backbone(): Features[] {
    // Not folded into the first convolution: its padding is zero after this normalisation.
    const scaled = this.#graph.op('Div', 'scaled', ['image', this.#graph.constant('halfRange', [], [127.5])]);
    const normalized = this.#graph.op('Sub', 'normalized', [scaled, this.#graph.constant('one', [], [1])]);
    let features = this.#pointwise('MobilenetV1', 0, { tensor: normalized, size: INPUT_SIZE }, 2);
    const predictors: Features[] = [];
    for (let layer = 1; layer <= LAST_LAYER; layer++) {
      features = this.#depthwise(layer, features, STRIDE_2_LAYERS.includes(layer) ? 2 : 1);
      features = this.#pointwise('MobilenetV1', layer, features, 1);
      if (layer === FINEST_PREDICTOR_LAYER || layer === LAST_LAYER) predictors.push(features);
    }
    for (let layer = 0; layer < 8; layer += 2) {
      features = this.#pointwise('Prediction', layer, features, 1);
      features = this.#pointwise('Prediction', layer + 1, features, 2);
      predictors.push(features);
    }
    return predictors;
  }

  #pointwise(scope: string, layer: number, from: Features, stride: number): Features {
    const name = `${scope}/Conv2d_${layer}_pointwise`;
    const layerWeights = convolution(this.#weight(`${name}/weights`), this.#weight(`${name}/convolution_bn_offset`));
    return this.#relu6(this.#convolve(name, from, layerWeights, stride));
  }

  #depthwise(layer: number, from: Features, stride: number): Features {
    const name = `MobilenetV1/Conv2d_${layer}_depthwise`;
    const layerWeights = depthwiseConvolution(this.#weight(`${name}/depthwise_weights`), {
      gamma: this.#weight(`${name}/BatchNorm/gamma`),
      beta: this.#weight(`${name}/BatchNorm/beta`),
      mean: this.#weight(`${name}/BatchNorm/moving_mean`),
      variance: this.#weight(`${name}/BatchNorm/moving_variance`),
      epsilon: EPSILON,
    });
    return this.#relu6(this.#convolve(name, from, layerWeights, stride, layerWeights.dims[0]));
  }

  #convolve(name: string, from: Features, layer: Convolution, stride: number, group = 1): Features {
    const [, , kernel] = layer.dims;
    const weights = this.#graph.constant(`${name}/weights`, layer.dims, layer.weights);
    const bias = this.#graph.constant(`${name}/bias`, [layer.bias.length], layer.bias);
    const tensor = this.#graph.op('Conv', name, [from.tensor, weights, bias], {
      dilations: [1, 1],
      group,
      kernel_shape: [kernel, kernel],
      pads: samePads(from.size, kernel, stride),
      strides: [stride, stride],
    });
    return { tensor, size: Math.ceil(from.size / stride) };
  }

  #relu6({ tensor, size }: Features): Features {
    return { tensor: this.#graph.op('Clip', `${tensor}/relu6`, [tensor, 'zero', 'six']), size };
  }

  /** @returns a tensor [1, cells · anchors, 4] of centre x, centre y, width, height, encoded against the anchors. */
  #boxEncodings(from: Features, index: number): string {
    // face-api's order is centre y, centre x, height, width.
    return this.#predict(
      `Prediction/BoxPredictor_${index}/BoxEncodingPredictor`,
      from,
      4,
      [1, 0, 3, 2],
      'flatBoxesShape',
    );
  }

  /** @returns a tensor [1, cells · anchors] of face logits. */
  #faceLogits(from: Features, index: number): string {
    return this.#predict(
      `Prediction/BoxPredictor_${index}/ClassPredictor`,
      from,
      CLASSES,
      [FACE_CLASS],
      'flatScoresShape',
    );
  }

  /** Of the `perAnchor` values that the layer gives for each anchor, keeps `order`; cell-major like tfjs's NHWC. */
  #predict(name: string, from: Features, perAnchor: number, order: number[], flatShape: string): string {
    const filters = this.#weight(`${name}/weights`);
    const keep: number[] = [];
    for (let anchor = 0; anchor < filters.shape[3]; anchor += perAnchor) {
      for (const value of order) keep.push(anchor + value);
    }
    const layer = convolution(filters, this.#weight(`${name}/biases`), keep);
    const { tensor } = this.#convolve(name, from, layer, 1);
    const cellMajor = this.#graph.op('Transpose', `${name}/nhwc`, [tensor], { perm: [0, 2, 3, 1] });
    return this.#graph.op('Reshape', `${name}/flat`, [cellMajor, flatShape]);
  }

  /** Adds `boxes`. @returns the number of anchors. */
  #decodeBoxes(encodings: string): number {
    const { shape, values } = this.#weight('Output/extra_dim');
    const anchors = shape[1];
    const centres = new Float32Array(anchors * 2);
    const sizes = new Float32Array(anchors * 2);
    for (let anchor = 0; anchor < anchors; anchor++) {
      for (const axis of [0, 1]) {
        // An anchor is y1, x1, y2, x2; here x comes first.
        const begin = values[anchor * 4 + 1 - axis];
        const end = values[anchor * 4 + 3 - axis];
        sizes[anchor * 2 + axis] = end - begin;
        centres[anchor * 2 + axis] = begin + (end - begin) / 2;
      }
    }
    const graph = this.#graph;
    const dims = [1, anchors, 2];
    graph.constant('anchorCentres', dims, centres);
    graph.constant(
      'centreSteps',
      dims,
      sizes.map((size) => size / CENTRE_VARIANCE),
    );
    graph.constant(
      'anchorHalfSizes',
      dims,
      sizes.map((size) => size / 2),
    );
    graph.constant('sizeVariance', [], [SIZE_VARIANCE]);
    graph.integers('lastAxis', [2]);
    graph.integers('at0', [0]);
    graph.integers('at2', [2]);
    graph.integers('at4', [4]);
    const offsets = graph.op('Slice', 'centreEncodings', [encodings, 'at0', 'at2', 'lastAxis']);
    const growths = graph.op('Slice', 'sizeEncodings', [encodings, 'at2', 'at4', 'lastAxis']);
    const shift = graph.op('Mul', 'centreShift', [offsets, 'centreSteps']);
    const centre = graph.op('Add', 'centre', [shift, 'anchorCentres']);
    const growth = graph.op('Exp', 'growth', [graph.op('Div', 'logGrowth', [growths, 'sizeVariance'])]);
    const half = graph.op('Mul', 'halfSize', [growth, 'anchorHalfSizes']);
    const begin = graph.op('Sub', 'begin', [centre, half]);
    graph.op('Concat', 'boxes', [begin, graph.op('Add', 'end', [centre, half])], { axis: 2 });
    return anchors;
  }

  #weight(name: string): TfjsWeight {
    const found = this.#weights.get(name);
    if (!found) throw new ModelError('invalid-weights', `the SSD-MobileNetV1 weights lack ${name}`);
    return found;
  }
}
