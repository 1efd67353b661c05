import { ModelError } from '../errors.ts';

/** Element types that this project reads or writes. @see onnx.proto3, TensorProto.DataType */
export const DataType = { float32: 1, int64: 7 } as const;

/** An ONNX model in memory: what `decodeModel` gives, what graph surgery edits, what `encodeModel` writes. */
export interface Model {
  irVersion: number;
  producer: string;
  opsets: { domain: string; version: number }[];
  graph: Graph;
  /** Fields that this code does not interpret, kept as encoded protobuf. */
  unknown: Uint8Array;
}

export interface Graph {
  name: string;
  /** In topological order, as ONNX asks. */
  nodes: Node[];
  initializers: Tensor[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Shapes of inner tensors, for information: empty it when surgery changes them, and the runtime infers them anew. */
  values: ValueInfo[];
  unknown: Uint8Array;
}

export interface Node {
  name: string;
  opType: string;
  domain: string;
  /** Tensor names; an empty one stands for an optional input left out. */
  inputs: string[];
  outputs: string[];
  attributes: Attribute[];
  unknown: Uint8Array;
}

/** One attribute of a node. `other` is any kind (or number beyond 2^53) that this code passes through unread. */
export type Attribute = { name: string } & (
  | { type: 'float'; value: number }
  | { type: 'int'; value: number }
  | { type: 'string'; value: string }
  | { type: 'tensor'; value: Tensor }
  | { type: 'floats'; value: number[] }
  | { type: 'ints'; value: number[] }
  | { type: 'other'; encoded: Uint8Array }
);

export interface Tensor {
  name: string;
  /** A `DataType`, or another element type of ONNX that is passed through. */
  dataType: number;
  dims: number[];
  /** Little-endian, row-major: ONNX's `raw_data`. Empty where the values are in `unknown` (strings, external data). */
  raw: Uint8Array;
  unknown: Uint8Array;
}

export interface ValueInfo {
  name: string;
  /** Element type of the tensor; 0 where the value is no tensor (its type is then in `unknown`). */
  elementType: number;
  /** A size, or the name of one that is only known at run time (may be empty); undefined: the rank is not known. */
  shape: (number | string)[] | undefined;
  unknown: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** A float32 constant. Copies `values`. */
export function float32Tensor(name: string, dims: number[], values: ArrayLike<number>): Tensor {
  checkCount(name, dims, values.length);
  const floats = Float32Array.from(values);
  return { name, dataType: DataType.float32, dims, raw: new Uint8Array(floats.buffer), unknown: NOTHING };
}

/** An int64 constant: shapes, axes. */
export function int64Tensor(name: string, dims: number[], values: readonly number[]): Tensor {
  checkCount(name, dims, values.length);
  const integers = BigInt64Array.from(values, BigInt);
  return { name, dataType: DataType.int64, dims, raw: new Uint8Array(integers.buffer), unknown: NOTHING };
}

/** The values of a float32 tensor, copied. @throws ModelError 'invalid-onnx' for another element type */
export function float32Values(tensor: Tensor): Float32Array {
  if (tensor.dataType !== DataType.float32) {
    throw new ModelError('invalid-onnx', `tensor ${tensor.name} has element type ${tensor.dataType}; need float32 (1)`);
  }
  checkCount(tensor.name, tensor.dims, tensor.raw.length / 4);
  return new Float32Array(Uint8Array.from(tensor.raw).buffer);
}

/** A graph input or output. `shape` holds sizes, or names for sizes known at run time. */
export function float32Value(name: string, shape: (number | string)[]): ValueInfo {
  return { name, elementType: DataType.float32, shape, unknown: NOTHING };
}

/** Attributes of a node in short: a number is an int attribute, a list of numbers an ints, `{ float }` a float. */
export type NodeAttributes = Readonly<Record<string, number | number[] | { readonly float: number }>>;

/** A node of the default operator set. */
export function node(
  opType: string,
  name: string,
  inputs: string[],
  outputs: string[],
  attributes: NodeAttributes = {},
): Node {
  return {
    name,
    opType,
    domain: '',
    inputs,
    outputs,
    attributes: Object.entries(attributes).map(([key, value]): Attribute => {
      if (Array.isArray(value)) return { name: key, type: 'ints', value };
      if (typeof value === 'object') return { name: key, type: 'float', value: value.float };
      return { name: key, type: 'int', value };
    }),
    unknown: NOTHING,
  };
}

function checkCount(name: string, dims: number[], count: number): void {
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (count !== expected) {
    throw new ModelError('invalid-onnx', `tensor ${name} has ${count} values; its shape [${dims}] needs ${expected}`);
  }
}
