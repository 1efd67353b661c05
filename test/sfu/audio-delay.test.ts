import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AudioDelay } from '../../sfu/audio-delay.ts';

let released: { pts: number; at: number }[];
let delay: AudioDelay;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  released = [];
  delay = new AudioDelay(({ pts }) => released.push({ pts, at: performance.now() }));
});

afterEach(() => {
  delay.clear();
  vi.useRealTimers();
});

const packet = (pts: number) => ({ data: new Uint8Array(1), pts });

test('sound leaves when the picture of its moment does', () => {
  const start = performance.now();
  // Pictures leave 100 ms after their moment.
  delay.follow(start - 100);
  delay.push(packet(1), start);
  delay.push(packet(2), start + 20);
  vi.advanceTimersByTime(99);
  expect(released).toEqual([]);
  vi.advanceTimersByTime(3);
  expect(released.map(({ pts }) => pts)).toEqual([1]);
  vi.advanceTimersByTime(20);
  expect(released.map(({ pts }) => pts)).toEqual([1, 2]);
});

test('order is kept where the delay shrinks at once', () => {
  const start = performance.now();
  delay.follow(start - 500);
  delay.push(packet(1), start);
  for (let i = 0; i < 200; i++) delay.follow(performance.now());
  delay.push(packet(2), start);
  vi.advanceTimersByTime(600);
  expect(released.map(({ pts }) => pts)).toEqual([1, 2]);
});

test('nothing is held for longer than pictures can be, and not without bound', () => {
  delay.follow(performance.now() - 100_000);
  delay.push(packet(0), performance.now());
  vi.advanceTimersByTime(1501);
  expect(released).toHaveLength(1);
  for (let i = 1; i <= 300; i++) delay.push(packet(i), performance.now());
  expect(released.length).toBeGreaterThanOrEqual(101);
});

test('what is held when it is cleared never leaves', () => {
  delay.follow(performance.now() - 100);
  delay.push(packet(1), performance.now());
  delay.clear();
  vi.advanceTimersByTime(5000);
  expect(released).toEqual([]);
});
