import { expect, test } from 'vitest';
import { samePads } from '../../models/importers/tfjs-convolution.ts';
import { readTfjsWeights } from '../../models/importers/tfjs-weights.ts';

const QUANTIZATION = { dtype: 'uint8', scale: 0.1, min: -1 };
const MANIFEST = JSON.stringify([
  {
    weights: [
      { name: 'quantised', shape: [2, 2], dtype: 'float32', quantization: QUANTIZATION },
      { name: 'constant', shape: [], dtype: 'int32', quantization: { ...QUANTIZATION, scale: 1 } },
      { name: 'plain', shape: [1], dtype: 'float32' },
    ],
    paths: ['weights.bin'],
  },
]);
const SHARD = Buffer.concat([Buffer.of(0, 1, 10, 255), Buffer.of(3), Buffer.from(Float32Array.of(0.25).buffer)]);

test('quantised weights are byte · scale + min, rounded once to float32; plain ones are read at any alignment', () => {
  const weights = readTfjsWeights(MANIFEST, SHARD);
  expect([...weights.keys()]).toEqual(['quantised', 'plain']);
  expect(weights.get('quantised')).toEqual({ shape: [2, 2], values: Float32Array.of(-1, 0.1 - 1, 0, 24.5) });
  expect(weights.get('plain')).toEqual({ shape: [1], values: Float32Array.of(0.25) });
});

test('weights shorter or longer than their manifest says are refused', () => {
  for (const shard of [SHARD.subarray(0, -1), Buffer.alloc(0), Buffer.concat([SHARD, Buffer.of(0)])]) {
    expect(() => readTfjsWeights(MANIFEST, shard)).toThrow(expect.objectContaining({ code: 'invalid-weights' }));
  }
});

test('a manifest that is no JSON, or of another format, is refused', () => {
  for (const manifest of ['', '{', '[]', MANIFEST.replace('uint8', 'uint16')]) {
    expect(() => readTfjsWeights(manifest, SHARD)).toThrow(expect.objectContaining({ code: 'invalid-weights' }));
  }
});

test('same padding puts the odd pixel at the end', () => {
  expect(samePads(512, 3, 2)).toEqual([0, 0, 1, 1]);
  expect(samePads(511, 3, 2)).toEqual([1, 1, 1, 1]);
  expect(samePads(32, 3, 1)).toEqual([1, 1, 1, 1]);
  expect(samePads(32, 1, 1)).toEqual([0, 0, 0, 0]);
  expect(samePads(2, 3, 2)).toEqual([0, 0, 1, 1]);
});
