import { ModelError } from '../errors.ts';
import { float32Value, type ValueInfo } from '../onnx/model.ts';
import { GraphBuilder } from './graph-builder.ts';
import { type Convolution, convolution, depthwiseConvolution, samePads } from './tfjs-convolution.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

/** A tensor of the graph: `size` × `size` pixels, NCHW. */
export interface Features {
  readonly tensor: string;
  readonly size: number;
  readonly channels: number;
}

/** A convolution's weights under a name, as face-api's layers have them, and how it moves. */
export interface Layer {
  readonly name: string;
  readonly weights: Convolution;
  readonly stride?: number;
  readonly padding?: 'same' | 'valid';
  readonly group?: number;
}

const CROP = 'face';

/**
 * Builds one of face-api's nets, which see one square crop `face` [batch, 3, size, size], by the layers that they have in
 * common.
 */
export class TfjsLayers {
  readonly graph = new GraphBuilder();
  readonly input: Features;
  readonly #model: string;
  readonly #weights: ReadonlyMap<string, TfjsWeight>;

  /** @param size of the crop, pixels */
  constructor(model: string, size: number, weights: ReadonlyMap<string, TfjsWeight>) {
    this.#model = model;
    this.#weights = weights;
    this.input = { tensor: CROP, size, channels: 3 };
  }

  /** @throws ModelError 'invalid-weights' */
  weight(name: string): TfjsWeight {
    const found = this.#weights.get(name);
    if (!found) throw new ModelError('invalid-weights', `the weights of ${this.#model} lack ${name}`);
    return found;
  }

  /** `name/filters` and `name/bias`. */
  convolve(name: string, from: Features, stride = 1): Features {
    return this.apply(
      { name, weights: convolution(this.weight(`${name}/filters`), this.weight(`${name}/bias`)), stride },
      from,
    );
  }

  /** A depthwise convolution and a pointwise one; the bias comes last. */
  separable(name: string, from: Features, stride = 1): Features {
    const depthwise = depthwiseConvolution(this.weight(`${name}/depthwise_filter`));
    const spread = this.apply({ name: `${name}/depthwise`, weights: depthwise, stride, group: from.channels }, from);
    const pointwise = convolution(this.weight(`${name}/pointwise_filter`), this.weight(`${name}/bias`));
    return this.apply({ name: `${name}/pointwise`, weights: pointwise }, spread);
  }

  apply({ name, weights, stride = 1, padding = 'same', group = 1 }: Layer, from: Features): Features {
    const [channels, , kernel] = weights.dims;
    const filters = this.graph.constant(`${name}/filters`, weights.dims, weights.weights);
    const bias = this.graph.constant(`${name}/bias`, [channels], weights.bias);
    const tensor = this.graph.op('Conv', name, [from.tensor, filters, bias], {
      dilations: [1, 1],
      group,
      kernel_shape: [kernel, kernel],
      pads: padding === 'same' ? samePads(from.size, kernel, stride) : [0, 0, 0, 0],
      strides: [stride, stride],
    });
    return { tensor, channels, size: outputSize(from.size, kernel, stride, padding) };
  }

  maxPool(name: string, from: Features, kernel: number, stride: number, padding: 'same' | 'valid'): Features {
    const tensor = this.graph.op('MaxPool', name, [from.tensor], {
      kernel_shape: [kernel, kernel],
      pads: padding === 'same' ? samePads(from.size, kernel, stride) : [0, 0, 0, 0],
      strides: [stride, stride],
    });
    return { ...from, tensor, size: outputSize(from.size, kernel, stride, padding) };
  }

  relu(from: Features): Features {
    return { ...from, tensor: this.graph.op('Relu', `${from.tensor}/relu`, [from.tensor]) };
  }

  add(name: string, a: Features, b: Features): Features {
    return { ...a, tensor: this.graph.op('Add', name, [a.tensor, b.tensor]) };
  }

  /** The mean of each channel: [batch, channels]. */
  means(from: Features): string {
    const pooled = this.graph.op('GlobalAveragePool', `${from.tensor}/means`, [from.tensor]);
    return this.graph.op('Flatten', `${from.tensor}/flat`, [pooled], { axis: 1 });
  }

  /** A fully connected layer of `weights` [in, out], and a bias where there is one. */
  connect(name: string, from: string, weights: string, bias?: string): string {
    const matrix = this.weight(weights);
    const inputs = [from, this.graph.constant(`${name}/weights`, matrix.shape, matrix.values)];
    if (bias) {
      const { shape, values } = this.weight(bias);
      inputs.push(this.graph.constant(`${name}/bias`, shape, values));
    }
    return this.graph.op('Gemm', name, inputs);
  }

  /** @param outputs the values of each, a row for each of the batch */
  finish(outputs: Readonly<Record<string, number>>): Uint8Array {
    const { tensor, size, channels } = this.input;
    const input = float32Value(tensor, ['batch', channels, size, size]);
    const values = Object.entries(outputs).map(([name, width]): ValueInfo => float32Value(name, ['batch', width]));
    return this.graph.finish(this.#model, [input], values);
  }
}

function outputSize(size: number, kernel: number, stride: number, padding: 'same' | 'valid'): number {
  return padding === 'same' ? Math.ceil(size / stride) : Math.floor((size - kernel) / stride) + 1;
}
