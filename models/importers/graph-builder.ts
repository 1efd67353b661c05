import { encodeModel } from '../onnx/encode.ts';
import type { Node, NodeAttributes, Tensor, ValueInfo } from '../onnx/model.ts';
import { float32Tensor, int64Tensor, node } from '../onnx/model.ts';

/** ONNX 1.8 of late 2020: every ONNX Runtime that this project can meet reads it. */
const IR_VERSION = 7;
const OPSET_VERSION = 13;

/** Collects the nodes and constants of a graph. Each method returns the name of the tensor it adds. */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #initializers: Tensor[] = [];

  constant(name: string, dims: number[], values: ArrayLike<number>): string {
    this.#initializers.push(float32Tensor(name, dims, values));
    return name;
  }

  integers(name: string, values: number[]): string {
    this.#initializers.push(int64Tensor(name, [values.length], values));
    return name;
  }

  /** Adds a node of one output, called like the node. */
  op(opType: string, name: string, inputs: string[], attributes: NodeAttributes = {}): string {
    this.#nodes.push(node(opType, name, inputs, [name], attributes));
    return name;
  }

  /** The finished `.onnx` file. The same calls give the same bytes. */
  finish(name: string, inputs: ValueInfo[], outputs: ValueInfo[]): Uint8Array {
    const nothing = new Uint8Array(0);
    return encodeModel({
      irVersion: IR_VERSION,
      producer: 'faceblur-gateway',
      opsets: [{ domain: '', version: OPSET_VERSION }],
      graph: {
        name,
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs,
        outputs,
        values: [],
        unknown: nothing,
      },
      unknown: nothing,
    });
  }
}
