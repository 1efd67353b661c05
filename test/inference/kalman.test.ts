import { expect, test } from 'vitest';
import type { Box } from '../../inference/track/box.ts';
import { BoxFilter } from '../../inference/track/kalman.ts';

/** A constant-velocity filter meets a constant velocity to this many pixels, after a dozen sightings of it. */
const SETTLED_PX = 1;

const moving = (frame: number): Box => ({ x: 100 + 6 * frame, y: 80 - 2 * frame, w: 40, h: 50 });

test('a box that moves evenly is predicted where it will be', () => {
  const filter = new BoxFilter(moving(0));
  for (let frame = 1; frame <= 12; frame++) {
    filter.predict(1);
    filter.correct(moving(frame));
  }
  filter.predict(5);
  const { x, y } = filter.box;
  expect(Math.hypot(x - moving(17).x, y - moving(17).y)).toBeLessThan(SETTLED_PX);
});

test('sparse sightings predict as one step does: time counts in frames', () => {
  const filter = new BoxFilter(moving(0));
  for (let frame = 3; frame <= 36; frame += 3) {
    filter.predict(3);
    filter.correct(moving(frame));
  }
  filter.predict(3);
  expect(Math.abs(filter.box.x - moving(39).x)).toBeLessThan(SETTLED_PX);
});

test('a box that jitters in place stays in place', () => {
  const filter = new BoxFilter({ x: 50, y: 50, w: 30, h: 30 });
  for (let frame = 1; frame <= 30; frame++) {
    filter.predict(1);
    filter.correct({ x: 50 + (frame % 2 ? 1.5 : -1.5), y: 50, w: 30, h: 30 });
  }
  filter.predict(10);
  /** Half the jitter a frame, at most, would be taken for a velocity. */
  expect(Math.abs(filter.box.x - 50)).toBeLessThan(10 * 0.75);
});

test('a box that shrinks is never predicted smaller than a pixel', () => {
  const filter = new BoxFilter({ x: 0, y: 0, w: 40, h: 40 });
  for (let side = 36; side >= 4; side -= 4) {
    filter.predict(1);
    filter.correct({ x: 0, y: 0, w: side, h: side });
  }
  filter.predict(100);
  expect(filter.box.w).toBeGreaterThanOrEqual(1);
  expect(filter.box.h).toBeGreaterThanOrEqual(1);
});
