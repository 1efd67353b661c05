import { expect, test } from 'vitest';
import { type CounterBits, Unwrapper, unwrapNear } from '../../../sfu/rtp/sequence.ts';

function unwrapAll(bits: CounterBits, values: readonly number[]): number[] {
  const unwrapper = new Unwrapper(bits);
  const unwrapped = values.map((value) => unwrapper.unwrap(value));
  return unwrapped.map((value) => value - unwrapped[0]);
}

test.each([
  { bits: 16 as const, last: 0xffff },
  { bits: 32 as const, last: 0xffff_ffff },
])('$bits bits go on over the wrap, and back over it when packets swap', ({ bits, last }) => {
  expect(unwrapAll(bits, [last - 1, last, 0, 1])).toEqual([0, 1, 2, 3]);
  expect(unwrapAll(bits, [last - 1, 1, last, 0, 2])).toEqual([0, 3, 1, 2, 4]);
  expect(unwrapAll(bits, [0, last, 1])).toEqual([0, -1, 1]);
});

test.each([
  { bits: 16 as const, range: 2 ** 16 },
  { bits: 32 as const, range: 2 ** 32 },
])('$bits bits stay safe, congruent and not negative, whatever comes', ({ bits, range }) => {
  const unwrapper = new Unwrapper(bits);
  // Always as far back as can be told from ahead: what would walk a counter below zero that follows every step.
  for (let i = 0, value = 0; i < 1000; i++, value = (value + range / 2 + 1) % range) {
    const unwrapped = unwrapper.unwrap(value);
    expect(unwrapped).toBeGreaterThanOrEqual(0);
    expect(Number.isSafeInteger(unwrapped)).toBe(true);
    expect(unwrapped % range).toBe(value);
  }
});

test('a thousand wraps add up', () => {
  const unwrapper = new Unwrapper(16);
  const first = unwrapper.unwrap(0);
  let last = first;
  for (let i = 1; i <= 4000; i++) last = unwrapper.unwrap((i * 0x4000) % 0x10000);
  expect(last - first).toBe(4000 * 0x4000);
});

test('after a restart the counter goes on later, wherever its next value stands', () => {
  const unwrapper = new Unwrapper(32);
  const before = unwrapper.unwrap(1_000_000);
  unwrapper.restart();
  const after = unwrapper.unwrap(999_000);
  expect(after).toBe(before - 1000 + 2 ** 32);
  expect(unwrapper.unwrap(999_100)).toBe(after + 100);
});

test('a timestamp is placed near one that is known, without moving anything', () => {
  const pts = 3 * 2 ** 32 + 10;
  expect(unwrapNear(pts, 2 ** 32 - 20, 32)).toBe(pts - 30);
  expect(unwrapNear(pts, 40, 32)).toBe(pts + 30);
});
