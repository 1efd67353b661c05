/** A rectangle in pixels of the picture; it may reach past the picture's edges. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/**
 * Right eye, left eye, tip of the nose, right and left corner of the mouth, as the person would say (the right eye is on
 * the left of a picture taken from the front): each x, y in pixels of the picture.
 */
export type Landmarks = readonly [Point, Point, Point, Point, Point];
export type Point = readonly [x: number, y: number];

/** One point for each of five. */
export function mapFive<T>([a, b, c, d, e]: readonly [T, T, T, T, T], to: (each: T) => Point): Landmarks {
  return [to(a), to(b), to(c), to(d), to(e)];
}

/** A face found by a detector: its box and a score 0..1. */
export interface Detection extends Box {
  readonly score: number;
  /** Where the detector gives them. */
  readonly landmarks?: Landmarks;
}

/** @returns intersection over union, 0..1 */
export function iou(a: Box, b: Box): number {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  const both = w * h;
  return both / (a.w * a.h + b.w * b.h - both);
}

/** Distance of the centres as a multiple of the boxes' mean side. */
export function centreDistance(a: Box, b: Box): number {
  const dx = a.x + a.w / 2 - b.x - b.w / 2;
  const dy = a.y + a.h / 2 - b.y - b.h / 2;
  return Math.hypot(dx, dy) / ((a.w + a.h + b.w + b.h) / 4);
}

/** The box scaled about its centre. */
export function grow(box: Box, factor: number): Box {
  const w = box.w * factor;
  const h = box.h * factor;
  return { x: box.x + (box.w - w) / 2, y: box.y + (box.h - h) / 2, w, h };
}

/** The point between two boxes at `t` (0 is a, 1 is b). */
export function interpolate(a: Box, b: Box, t: number): Box {
  return {
    x: a.x + (b.x - a.x) * t,
    y: a.y + (b.y - a.y) * t,
    w: a.w + (b.w - a.w) * t,
    h: a.h + (b.h - a.h) * t,
  };
}

export function shift(box: Box, dx: number, dy: number): Box {
  return { x: box.x + dx, y: box.y + dy, w: box.w, h: box.h };
}

/** Whether the box lies wholly off the picture. One that is not finite does not: nobody knows where it lies. */
export function misses(box: Box, width: number, height: number): boolean {
  return box.x >= width || box.y >= height || box.x + box.w <= 0 || box.y + box.h <= 0;
}
