import { ModelError } from '../errors.ts';
import { AttributeType } from './encode.ts';
import type { Attribute, Graph, Model, Node, Tensor, ValueInfo } from './model.ts';
import { DataType } from './model.ts';
import { fieldFloats, fieldInt64, fieldInt64s, fieldText, WireWriter, wireFields } from './wire.ts';

const NOTHING = new Uint8Array(0);

/**
 * Reads the bytes of an `.onnx` file. Tensors view `bytes` where they can, so keep it unchanged. What this code does not
 * interpret (metadata, subgraphs, documentation, …) is kept as it was, and `encodeModel` writes it back.
 * @throws ModelError 'invalid-onnx' when the bytes are no ONNX model
 * @see onnx.proto3 (ONNX 1.16), whose field numbers stand below
 */
export function decodeModel(bytes: Uint8Array): Model {
  const model: Omit<Model, 'graph' | 'unknown'> = { irVersion: 0, producer: '', opsets: [] };
  let graph: Graph | undefined;
  const unknown = new WireWriter();
  for (const field of wireFields(bytes)) {
    if (field.number === 1) model.irVersion = Number(fieldInt64(field));
    else if (field.number === 2) model.producer = fieldText(field);
    else if (field.number === 7) graph = decodeGraph(field.bytes);
    else if (field.number === 8) model.opsets.push(decodeOpset(field.bytes));
    else unknown.encoded(field.encoded);
  }
  if (!graph || model.irVersion === 0) throw new ModelError('invalid-onnx', 'ONNX data holds no graph: no ONNX model');
  return { ...model, graph, unknown: unknown.finish() };
}

/** What a graph takes and gives. */
export interface Signature {
  /** Without the constants that older files list among the inputs. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** Reads only what an `.onnx` file's graph takes and gives. @throws ModelError 'invalid-onnx' */
export function decodeSignature(bytes: Uint8Array): Signature {
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const constants = new Set<string>();
  for (const graph of wireFields(bytes)) {
    if (graph.number !== 7) continue;
    for (const field of wireFields(graph.bytes)) {
      if (field.number === 5) constants.add(decodeTensor(field.bytes).name);
      else if (field.number === 11) inputs.push(decodeValueInfo(field.bytes));
      else if (field.number === 12) outputs.push(decodeValueInfo(field.bytes));
    }
  }
  if (outputs.length === 0) throw new ModelError('invalid-onnx', 'ONNX data holds no graph: no ONNX model');
  return { inputs: inputs.filter(({ name }) => !constants.has(name)), outputs };
}

function decodeOpset(bytes: Uint8Array): { domain: string; version: number } {
  const opset = { domain: '', version: 0 };
  for (const field of wireFields(bytes)) {
    if (field.number === 1) opset.domain = fieldText(field);
    else if (field.number === 2) opset.version = Number(fieldInt64(field));
  }
  return opset;
}

function decodeGraph(bytes: Uint8Array): Graph {
  const graph: Graph = { name: '', nodes: [], initializers: [], inputs: [], outputs: [], values: [], unknown: NOTHING };
  const unknown = new WireWriter();
  for (const field of wireFields(bytes)) {
    if (field.number === 1) graph.nodes.push(decodeNode(field.bytes));
    else if (field.number === 2) graph.name = fieldText(field);
    else if (field.number === 5) graph.initializers.push(decodeTensor(field.bytes));
    else if (field.number === 11) graph.inputs.push(decodeValueInfo(field.bytes));
    else if (field.number === 12) graph.outputs.push(decodeValueInfo(field.bytes));
    else if (field.number === 13) graph.values.push(decodeValueInfo(field.bytes));
    else unknown.encoded(field.encoded);
  }
  return { ...graph, unknown: unknown.finish() };
}

function decodeNode(bytes: Uint8Array): Node {
  const item: Node = { name: '', opType: '', domain: '', inputs: [], outputs: [], attributes: [], unknown: NOTHING };
  const unknown = new WireWriter();
  for (const field of wireFields(bytes)) {
    if (field.number === 1) item.inputs.push(fieldText(field));
    else if (field.number === 2) item.outputs.push(fieldText(field));
    else if (field.number === 3) item.name = fieldText(field);
    else if (field.number === 4) item.opType = fieldText(field);
    else if (field.number === 5) item.attributes.push(decodeAttribute(field.bytes));
    else if (field.number === 7) item.domain = fieldText(field);
    else unknown.encoded(field.encoded);
  }
  return { ...item, unknown: unknown.finish() };
}

function decodeAttribute(encoded: Uint8Array): Attribute {
  const read = { name: '', type: 0, float: 0, int: 0n, string: '', floats: [] as number[], ints: [] as bigint[] };
  let tensor: Tensor | undefined;
  let interpreted = true;
  for (const field of wireFields(encoded)) {
    if (field.number === 1) read.name = fieldText(field);
    else if (field.number === 2) read.float = fieldFloats(field)[0] ?? 0;
    else if (field.number === 3) read.int = fieldInt64(field);
    else if (field.number === 4) read.string = fieldText(field);
    else if (field.number === 5) tensor = decodeTensor(field.bytes);
    else if (field.number === 7) read.floats.push(...fieldFloats(field));
    else if (field.number === 8) read.ints.push(...fieldInt64s(field));
    else if (field.number === 20) read.type = Number(field.varint);
    else interpreted = false;
  }
  const { name, type } = read;
  if (interpreted) {
    if (type === AttributeType.float) return { name, type: 'float', value: read.float };
    if (type === AttributeType.string) return { name, type: 'string', value: read.string };
    if (type === AttributeType.tensor && tensor) return { name, type: 'tensor', value: tensor };
    if (type === AttributeType.floats) return { name, type: 'floats', value: read.floats };
    if (type === AttributeType.int && isExact(read.int)) return { name, type: 'int', value: Number(read.int) };
    if (type === AttributeType.ints && read.ints.every(isExact)) {
      return { name, type: 'ints', value: read.ints.map(Number) };
    }
  }
  return { name, type: 'other', encoded };
}

function isExact(value: bigint): boolean {
  return Number.isSafeInteger(Number(value));
}

function decodeTensor(bytes: Uint8Array): Tensor {
  const tensor: Tensor = { name: '', dataType: 0, dims: [], raw: NOTHING, unknown: NOTHING };
  const floats: number[] = [];
  const int64s: bigint[] = [];
  const typedData = new WireWriter();
  const unknown = new WireWriter();
  for (const field of wireFields(bytes)) {
    if (field.number === 1) tensor.dims.push(...fieldInt64s(field).map(Number));
    else if (field.number === 2) tensor.dataType = Number(field.varint);
    else if (field.number === 8) tensor.name = fieldText(field);
    else if (field.number === 9) tensor.raw = field.bytes;
    else if (field.number === 4 || field.number === 7) {
      typedData.encoded(field.encoded);
      if (field.number === 4) for (const value of fieldFloats(field)) floats.push(value);
      else for (const value of fieldInt64s(field)) int64s.push(value);
    } else unknown.encoded(field.encoded);
  }
  // float_data and int64_data become raw_data: one place to look for values.
  if (floats.length > 0 && tensor.dataType === DataType.float32) {
    tensor.raw = new Uint8Array(Float32Array.from(floats).buffer);
  } else if (int64s.length > 0 && tensor.dataType === DataType.int64) {
    tensor.raw = new Uint8Array(BigInt64Array.from(int64s).buffer);
  } else unknown.encoded(typedData.finish());
  return { ...tensor, unknown: unknown.finish() };
}

function decodeValueInfo(bytes: Uint8Array): ValueInfo {
  const value: ValueInfo = { name: '', elementType: 0, shape: undefined, unknown: NOTHING };
  const unknown = new WireWriter();
  for (const field of wireFields(bytes)) {
    const type = field.number === 2 ? decodeTensorType(field.bytes) : undefined;
    if (field.number === 1) value.name = fieldText(field);
    else if (type) Object.assign(value, type);
    else unknown.encoded(field.encoded);
  }
  return { ...value, unknown: unknown.finish() };
}

/** TypeProto of a tensor; undefined for sequences, maps and optionals. */
function decodeTensorType(bytes: Uint8Array): Pick<ValueInfo, 'elementType' | 'shape'> | undefined {
  const tensorType = [...wireFields(bytes)].find((field) => field.number === 1);
  if (!tensorType) return undefined;
  const type: Pick<ValueInfo, 'elementType' | 'shape'> = { elementType: 0, shape: undefined };
  for (const field of wireFields(tensorType.bytes)) {
    if (field.number === 1) type.elementType = Number(field.varint);
    else if (field.number === 2) type.shape = decodeShape(field.bytes);
  }
  return type;
}

function decodeShape(bytes: Uint8Array): (number | string)[] {
  const shape: (number | string)[] = [];
  for (const dimension of wireFields(bytes)) {
    if (dimension.number !== 1) continue;
    let size: number | string = '';
    for (const field of wireFields(dimension.bytes)) {
      if (field.number === 1) size = Number(fieldInt64(field));
      else if (field.number === 2) size = fieldText(field);
    }
    shape.push(size);
  }
  return shape;
}
