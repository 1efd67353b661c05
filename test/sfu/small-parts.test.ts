import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LatencyWindow } from '../../sfu/latency-window.ts';
import { RequestGate } from '../../sfu/request-gate.ts';
import { ArrivalClock } from '../../sfu/webrtc/arrival-clock.ts';

describe('a request gate', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('serves the first at once and the many that follow together', () => {
    let served = 0;
    const gate = new RequestGate(200, () => served++);
    for (let i = 0; i < 50; i++) gate.request();
    expect(served).toBe(1);
    vi.advanceTimersByTime(199);
    expect(served).toBe(1);
    vi.advanceTimersByTime(2);
    expect(served).toBe(2);
    vi.advanceTimersByTime(1000);
    expect(served).toBe(2);
  });

  test('serves nothing once it is closed', () => {
    let served = 0;
    const gate = new RequestGate(200, () => served++);
    gate.request();
    gate.request();
    gate.close();
    vi.advanceTimersByTime(1000);
    expect(served).toBe(1);
  });
});

describe('an arrival clock', () => {
  test('takes the packet that was fastest for the truth', () => {
    const clock = new ArrivalClock(90);
    clock.note(0, 1050);
    clock.note(3000, 1000 + 3000 / 90);
    clock.note(6000, 1080 + 6000 / 90);
    expect(clock.timelineMs(9000)).toBeCloseTo(1100, 0);
  });

  test('follows a sender whose clock is slow', () => {
    const clock = new ArrivalClock(48);
    // 100 ppm: 6 ms a minute.
    for (let second = 0; second <= 600; second++) clock.note(second * 48_000, second * 1000.1);
    expect(Math.abs(clock.timelineMs(600 * 48_000) - 600 * 1000.1)).toBeLessThan(1);
  });

  test('begins anew where timestamps jump', () => {
    const clock = new ArrivalClock(90);
    clock.note(0, 0);
    clock.note(90_000_000, 10);
    expect(clock.timelineMs(90_000_000)).toBeCloseTo(10, 0);
  });
});

test('a latency window tells quantiles of the latest frames', () => {
  const window = new LatencyWindow();
  expect(window.quantiles()).toEqual({ p50: 0, p95: 0, p99: 0 });
  for (let ms = 1; ms <= 100; ms++) window.add(ms);
  expect(window.quantiles()).toEqual({ p50: 51, p95: 96, p99: 100 });
  for (let i = 0; i < 2000; i++) window.add(7);
  expect(window.quantiles()).toEqual({ p50: 7, p95: 7, p99: 7 });
});
