import { expect, test } from 'vitest';
import { BitrateControl, type ViewerReport } from '../../sfu/bitrate.ts';

const WELL: ViewerReport = { availableBps: null, lossFraction: 0 };
const steps = (control: BitrateControl, reports: readonly ViewerReport[], count: number): number => {
  for (let i = 0; i < count; i++) control.step(reports);
  return control.currentBps;
};

test('rises to what the picture needs, and no further', () => {
  const control = new BitrateControl(500_000);
  control.setSize(1280, 720);
  const cap = steps(control, [WELL], 60);
  expect(cap).toBeGreaterThan(2_000_000);
  expect(steps(control, [WELL], 60)).toBe(cap);
  control.setSize(320, 180);
  expect(steps(control, [WELL], 1)).toBeLessThan(500_000);
});

test('stays below what the weakest viewer can take', () => {
  const control = new BitrateControl(500_000);
  control.setSize(1280, 720);
  steps(control, [WELL], 60);
  expect(steps(control, [WELL, { availableBps: 1_000_000, lossFraction: 0 }], 1)).toBeLessThan(1_000_000);
});

test('gives way to loss step by step, but never below the floor', () => {
  const control = new BitrateControl(500_000);
  control.setSize(1280, 720);
  const cap = steps(control, [WELL], 60);
  const lossy: ViewerReport = { availableBps: null, lossFraction: 0.2 };
  const once = steps(control, [lossy], 1);
  expect(once).toBeLessThan(cap);
  expect(once).toBeGreaterThan(cap / 2);
  expect(steps(control, [lossy], 100)).toBe(200_000);
});

test('chance losses and small changes are not worth telling the encoder', () => {
  const control = new BitrateControl(500_000);
  control.setSize(640, 360);
  steps(control, [WELL], 60);
  expect(control.step([{ availableBps: null, lossFraction: 0.02 }])).toBeNull();
  expect(control.step([{ availableBps: control.currentBps / 0.86, lossFraction: 0 }])).toBeNull();
});
