import type { Attribute, Graph, Model, Node, Tensor, ValueInfo } from './model.ts';
import { WireWriter } from './wire.ts';

/** AttributeProto.AttributeType. @see onnx.proto3 */
export const AttributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/**
 * Writes a model as the bytes of an `.onnx` file. The same model always gives the same bytes.
 * @see onnx.proto3 (ONNX 1.16), whose field numbers stand below
 */
export function encodeModel(model: Model): Uint8Array {
  const out = new WireWriter().int64(1, model.irVersion).text(2, model.producer).message(7, encodeGraph(model.graph));
  for (const { domain, version } of model.opsets) out.message(8, new WireWriter().text(1, domain).int64(2, version));
  return out.encoded(model.unknown).finish();
}

function encodeGraph(graph: Graph): WireWriter {
  const out = new WireWriter();
  for (const item of graph.nodes) out.message(1, encodeNode(item));
  out.text(2, graph.name);
  for (const tensor of graph.initializers) out.message(5, encodeTensor(tensor));
  for (const value of graph.inputs) out.message(11, encodeValueInfo(value));
  for (const value of graph.outputs) out.message(12, encodeValueInfo(value));
  for (const value of graph.values) out.message(13, encodeValueInfo(value));
  return out.encoded(graph.unknown);
}

function encodeNode(item: Node): WireWriter {
  const out = new WireWriter();
  for (const name of item.inputs) out.text(1, name);
  for (const name of item.outputs) out.text(2, name);
  out.text(3, item.name).text(4, item.opType);
  for (const attribute of item.attributes) {
    out.bytes(5, attribute.type === 'other' ? attribute.encoded : encodeAttribute(attribute).finish());
  }
  if (item.domain !== '') out.text(7, item.domain);
  return out.encoded(item.unknown);
}

function encodeAttribute(attribute: Exclude<Attribute, { type: 'other' }>): WireWriter {
  const out = new WireWriter().text(1, attribute.name);
  switch (attribute.type) {
    case 'float':
      out.float(2, attribute.value);
      break;
    case 'int':
      out.int64(3, attribute.value);
      break;
    case 'string':
      out.text(4, attribute.value);
      break;
    case 'tensor':
      out.message(5, encodeTensor(attribute.value));
      break;
    case 'floats':
      for (const value of attribute.value) out.float(7, value);
      break;
    case 'ints':
      for (const value of attribute.value) out.int64(8, value);
      break;
  }
  return out.int64(20, AttributeType[attribute.type]);
}

function encodeTensor(tensor: Tensor): WireWriter {
  const out = new WireWriter();
  for (const dim of tensor.dims) out.int64(1, dim);
  out.int64(2, tensor.dataType).text(8, tensor.name);
  if (tensor.raw.length > 0) out.bytes(9, tensor.raw);
  return out.encoded(tensor.unknown);
}

function encodeValueInfo(value: ValueInfo): WireWriter {
  const out = new WireWriter().text(1, value.name);
  if (value.elementType !== 0) {
    const tensorType = new WireWriter().int64(1, value.elementType);
    if (value.shape) {
      const shape = new WireWriter();
      for (const dim of value.shape) {
        const size = new WireWriter();
        if (typeof dim === 'number') size.int64(1, dim);
        else if (dim !== '') size.text(2, dim);
        shape.message(1, size);
      }
      tensorType.message(2, shape);
    }
    out.message(2, new WireWriter().message(1, tensorType));
  }
  return out.encoded(value.unknown);
}
