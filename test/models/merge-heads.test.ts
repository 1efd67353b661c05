import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { defaultModelLocations } from '../../models/locations.ts';
import { decodeModel } from '../../models/onnx/decode.ts';
import { encodeModel } from '../../models/onnx/encode.ts';
import { mergeHeads } from '../../models/onnx/merge-heads.ts';
import { float32Tensor, float32Value, type Model, type Node, node } from '../../models/onnx/model.ts';
import { resolveModel } from '../../models/resolve.ts';

const NOTHING = new Uint8Array(0);
const SOURCE_CHANNELS = 8;

/** Numbers in −1..1 that are the same in every run. */
function numbers(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x3fffffff - 1;
  });
}

interface HeadOf {
  readonly name: string;
  readonly channels: number;
  readonly source?: string;
  /** Of the second convolution. */
  readonly pads?: number;
}

/** A source of eight channels, and heads on it: 1×1, then 3×3 by channel. */
function modelWith(heads: readonly HeadOf[], opset: number): Model {
  const nodes: Node[] = [node('Relu', 'relu', ['x'], ['source'])];
  const initializers = heads.flatMap(({ name, channels, source = 'source', pads = 1 }, seed) => {
    const by = (kernel: number, pad: number, group: number) => ({
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [1, 1],
      group,
    });
    nodes.push(
      node('Conv', `${name}_mix`, [source, `${name}_mw`, `${name}_mb`], [`${name}_m`], by(1, 0, 1)),
      node('Conv', `${name}_spread`, [`${name}_m`, `${name}_sw`, `${name}_sb`], [name], by(3, pads, channels)),
    );
    return [
      float32Tensor(`${name}_mw`, [channels, SOURCE_CHANNELS, 1, 1], numbers(channels * SOURCE_CHANNELS, seed + 1)),
      float32Tensor(`${name}_mb`, [channels], numbers(channels, seed + 100)),
      float32Tensor(`${name}_sw`, [channels, 1, 3, 3], numbers(channels * 9, seed + 200)),
      float32Tensor(`${name}_sb`, [channels], numbers(channels, seed + 300)),
    ];
  });
  const outputs = heads.map(({ name, channels }) => float32Value(name, [1, channels, 'h', 'w']));
  const inputs = [float32Value('x', [1, SOURCE_CHANNELS, 'h', 'w'])];
  const graph = { name: 'heads', nodes, initializers, inputs, outputs, values: [], unknown: NOTHING };
  return { irVersion: 7, producer: 'test', opsets: [{ domain: '', version: opset }], graph, unknown: NOTHING };
}

async function run(bytes: Uint8Array, input: string, dims: number[]): Promise<Record<string, Float32Array>> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const values = numbers(
    dims.reduce((product, dim) => product * dim),
    7,
  ).map((value) => 128 * (value + 1));
  const outputs = await session.run({ [input]: new Tensor('float32', Float32Array.from(values), dims) });
  await session.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
}

async function expectSameOutputs(was: Uint8Array, is: Uint8Array, input: string, dims: number[]): Promise<void> {
  const [before, after] = [await run(was, input, dims), await run(is, input, dims)];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const [name, values] of Object.entries(before)) {
    const scale = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - after[name]![i]!)), 0);
    expect(worst / scale, name).toBeLessThan(1e-5);
  }
}

const convolutions = (bytes: Uint8Array) => decodeModel(bytes).graph.nodes.filter(({ opType }) => opType === 'Conv');

describe('heads on one tensor', () => {
  const heads = [
    { name: 'score', channels: 1 },
    { name: 'box', channels: 4 },
    { name: 'points', channels: 10 },
  ];

  test.each([11, 13, 17])('become one that computes the same (operator set %i)', async (opset) => {
    const bytes = encodeModel(modelWith(heads, opset));
    const merged = mergeHeads(bytes);
    expect(convolutions(merged)).toHaveLength(2);
    await expectSameOutputs(bytes, merged, 'x', [1, SOURCE_CHANNELS, 9, 12]);
  });

  test('stay apart where they convolve in different ways or read different tensors', async () => {
    const others = [
      { name: 'wide', channels: 2, pads: 0 },
      { name: 'raw', channels: 2, source: 'x' },
    ];
    const bytes = encodeModel(modelWith([...heads.slice(0, 2), ...others], 13));
    const merged = mergeHeads(bytes);
    expect(convolutions(merged)).toHaveLength(6);
    await expectSameOutputs(bytes, merged, 'x', [1, SOURCE_CHANNELS, 9, 12]);
  });

  test('stay as they are where someone else reads what lies between', () => {
    const model = modelWith(heads.slice(0, 2), 13);
    model.graph.outputs.push(float32Value('score_m', [1, 1, 'h', 'w']));
    const bytes = encodeModel(model);
    expect(mergeHeads(bytes)).toBe(bytes);
  });

  test('stay as they are where their weights are not in the file', () => {
    const model = modelWith(heads, 13);
    for (const tensor of model.graph.initializers) tensor.raw = NOTHING;
    const bytes = encodeModel(model);
    expect(mergeHeads(bytes)).toBe(bytes);
  });
});

const yunet = await resolveModel('yunet-n', {
  ...defaultModelLocations({}),
  allowDownload: false,
}).catch(() => null);

test.skipIf(!yunet)('YuNet with merged heads says what it said before (needs YuNet)', async () => {
  const { bytes, entry } = yunet!;
  const merged = mergeHeads(bytes);
  expect(convolutions(bytes).length - convolutions(merged).length).toBe(18);
  await expectSameOutputs(bytes, merged, entry.input.tensor, [1, 3, 96, 160]);
});

test('a graph without such heads is handed back as it is', () => {
  const bytes = encodeModel(modelWith([{ name: 'score', channels: 1 }], 13));
  expect(mergeHeads(bytes)).toBe(bytes);
});
