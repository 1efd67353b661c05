import { expect, test } from 'vitest';
import { InferenceError } from '../../inference/errors.ts';
import { type BlurPolicy, DEFAULT_POLICY, makePolicy } from '../../inference/policy.ts';

test('what is not said is the default: a mosaic of middle strength that reaches past the face', () => {
  expect(makePolicy()).toEqual({ style: 'mosaic', strength: 0.5, margin: 0.3 });
  expect(makePolicy({ strength: 0 })).toEqual({ ...DEFAULT_POLICY, strength: 0 });
  expect(makePolicy({ margin: undefined })).toEqual(DEFAULT_POLICY);
});

test.each<[string, Partial<BlurPolicy>]>([
  ['strength is -0.1', { strength: -0.1 }],
  ['strength is 1.1', { strength: 1.1 }],
  ['strength is NaN', { strength: Number.NaN }],
  ['margin is Infinity', { margin: Number.POSITIVE_INFINITY }],
  ['margin is -1', { margin: -1 }],
  ['style none', { style: 'none' as BlurPolicy['style'] }],
])('%s is refused by name, as the user’s fault', (message, wanted) => {
  const make = () => makePolicy(wanted);
  expect(make).toThrow(InferenceError);
  expect(make).toThrow(message);
  expect(make).toThrow(expect.objectContaining({ code: 'bad-options', fault: 'input' }));
});

test('the ends of the ranges are taken, and a policy does not change', () => {
  expect(Object.isFrozen(makePolicy({ strength: 1, margin: 0 }))).toBe(true);
});
