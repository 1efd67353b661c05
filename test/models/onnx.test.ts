import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { defaultModelLocations } from '../../models/locations.ts';
import { decodeModel } from '../../models/onnx/decode.ts';
import { encodeModel } from '../../models/onnx/encode.ts';
import {
  type Attribute,
  DataType,
  float32Tensor,
  float32Value,
  float32Values,
  int64Tensor,
  type Model,
  node,
} from '../../models/onnx/model.ts';
import { WireWriter } from '../../models/onnx/wire.ts';

const YUNET = join(defaultModelLocations({}).sharedDir ?? '', 'yunet_n_dynamic.onnx');
const noYunet = !existsSync(YUNET);
const NOTHING = new Uint8Array(0);

/** y = x · 2, and one attribute of every kind on a node that changes nothing. */
function smallModel(attributes: Attribute[] = []): Model {
  const identity = { ...node('Identity', 'copy', ['x'], ['same']), attributes };
  return {
    irVersion: 7,
    producer: 'test',
    opsets: [{ domain: '', version: 13 }],
    graph: {
      name: 'double',
      nodes: [identity, node('Mul', 'double', ['same', 'two'], ['y'])],
      initializers: [float32Tensor('two', [], [2])],
      inputs: [float32Value('x', ['count', 3])],
      outputs: [float32Value('y', ['count', 3])],
      values: [float32Value('same', ['count', 3])],
      unknown: NOTHING,
    },
    unknown: NOTHING,
  };
}

async function run(bytes: Uint8Array, input: string, tensor: Tensor) {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const outputs = await session.run({ [input]: tensor });
  await session.release();
  return outputs;
}

/** Numbers in 0..255 that are the same in every run. */
function noise(count: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (state * 48271) % 0x7fffffff;
    return state % 256;
  });
}

test('a model written here runs in ONNX Runtime', async () => {
  const bytes = encodeModel(smallModel());
  const { y } = await run(bytes, 'x', new Tensor('float32', [1, 2, 3, 4, 5, 6], [2, 3]));
  expect(y?.dims).toEqual([2, 3]);
  expect(y?.data).toEqual(Float32Array.of(2, 4, 6, 8, 10, 12));
});

test('every kind of attribute is read as it was written', () => {
  const attributes: Attribute[] = [
    { name: 'float', type: 'float', value: 0.5 },
    { name: 'int', type: 'int', value: -3 },
    { name: 'large', type: 'int', value: Number.MAX_SAFE_INTEGER },
    { name: 'string', type: 'string', value: 'größer' },
    { name: 'tensor', type: 'tensor', value: int64Tensor('t', [2], [-1, 4]) },
    { name: 'floats', type: 'floats', value: [1.5, -2] },
    { name: 'ints', type: 'ints', value: [0, 1, -1, 300] },
    { name: 'none', type: 'ints', value: [] },
  ];
  const model = smallModel(attributes);
  expect(decodeModel(encodeModel(model))).toEqual(model);
});

test('an integer beyond 2^53 and fields unknown to us are written back as they were', () => {
  const encoded = new WireWriter()
    .text(1, 'ends')
    .int64(8, 2n ** 63n - 1n)
    .int64(20, 7)
    .finish();
  const metadata = new WireWriter().message(14, new WireWriter().text(1, 'author').text(2, 'somebody')).finish();
  const model = { ...smallModel([{ name: 'ends', type: 'other', encoded }]), unknown: metadata };
  expect(decodeModel(encodeModel(model))).toEqual(model);
});

test('constants in typed fields, packed or not, are read like raw ones', () => {
  const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  const packed = new WireWriter().int64(1, 2).int64(2, DataType.float32).bytes(4, floats).text(8, 'w');
  const single = new WireWriter().int64(1, 2).int64(2, DataType.float32).float(4, 1.5).float(4, -2).text(8, 'w');
  for (const tensor of [packed, single]) {
    const graph = new WireWriter().message(5, tensor);
    const [constant] = decodeModel(new WireWriter().int64(1, 7).message(7, graph).finish()).graph.initializers;
    expect(constant).toEqual(float32Tensor('w', [2], [1.5, -2]));
    expect(float32Values(constant as NonNullable<typeof constant>)).toEqual(Float32Array.of(1.5, -2));
  }
});

test('a model cut short anywhere is refused or lacks its graph', () => {
  const bytes = encodeModel(smallModel());
  for (let length = 0; length < bytes.length; length++) {
    let model: Model | undefined;
    try {
      model = decodeModel(bytes.subarray(0, length));
    } catch (error) {
      expect(error).toMatchObject({ name: 'ModelError', code: 'invalid-onnx' });
    }
    // Only between two fields of the model itself does a cut leave a well-formed message.
    if (model) expect(model.opsets).toHaveLength(0);
  }
});

test('bytes that are no protobuf message are refused', () => {
  expect(() => decodeModel(Buffer.from('<html><body>404</body></html>'))).toThrow(/not a protobuf|cut short|no ONNX/);
});

test('a constant whose shape and values disagree is refused by name', () => {
  expect(() => float32Tensor('w', [2, 3], [1, 2])).toThrow('tensor w has 2 values; its shape [2,3] needs 6');
  expect(() => float32Values(int64Tensor('axes', [1], [2]))).toThrow('tensor axes has element type 7');
});

test.skipIf(noYunet)('YuNet read and written again gives the same outputs (needs ../shared/models)', async () => {
  const original = new Uint8Array(readFileSync(YUNET));
  const model = decodeModel(original);
  const written = encodeModel(model);
  expect(decodeModel(written)).toEqual(model);
  const input = new Tensor('float32', noise(3 * 192 * 320), [1, 3, 192, 320]);
  const before = await run(original, 'input', input);
  const after = await run(written, 'input', input);
  expect(Object.keys(after)).toHaveLength(12);
  for (const [name, tensor] of Object.entries(before)) {
    expect(after[name]?.dims).toEqual(tensor.dims);
    expect(after[name]?.data).toEqual(tensor.data);
  }
});

test.skipIf(noYunet)('YuNet with its input size fixed in the graph still runs (needs ../shared/models)', async () => {
  const original = new Uint8Array(readFileSync(YUNET));
  const model = decodeModel(original);
  const [input] = model.graph.inputs;
  expect(input?.shape).toEqual(['batch', 3, 'height', 'width']);
  model.graph.inputs = [float32Value('input', [1, 3, 192, 320])];
  model.graph.values = [];
  const tensor = new Tensor('float32', noise(3 * 192 * 320), [1, 3, 192, 320]);
  const fixed = await run(encodeModel(model), 'input', tensor);
  const dynamic = await run(original, 'input', tensor);
  expect(fixed.cls_8?.data).toEqual(dynamic.cls_8?.data);
  expect(fixed.kps_32?.data).toEqual(dynamic.kps_32?.data);
});
