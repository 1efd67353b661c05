import type { Box, Detection } from '../../inference/track/box.ts';
import { CameraPath } from '../../inference/track/camera-path.ts';
import { type Cover, coversAt } from '../../inference/track/coverage.ts';
import { Tracker, type TrackerOptions } from '../../inference/track/tracker.ts';

export const TRACKER: TrackerOptions = {
  highScore: 0.3,
  birthScore: 0.15,
  belief: { neutralScore: 0.2, largeNeutralScore: 0.5, missCost: 0.05, enough: 0.3, sureScore: 0.95 },
  maxLostFrames: 30,
};
export const WINDOW_FRAMES = 60;
/** The longer side of the picture that synthetic faces are in. */
export const PICTURE_SIDE = 1280;

export const seen = (x: number, y: number, side: number, score = 0.9): Detection => ({ x, y, w: side, h: side, score });

/** A tracker with a camera that stands still, and what its tracks cover. */
export class TrackedScene {
  readonly camera = new CameraPath();
  readonly tracker: Tracker;
  readonly #limits: { afterFrames: number; beforeFrames: number };

  constructor(options: Partial<TrackerOptions> = {}) {
    this.tracker = new Tracker({ ...TRACKER, ...options }, this.camera);
    this.#limits = { afterFrames: options.maxLostFrames ?? TRACKER.maxLostFrames, beforeFrames: WINDOW_FRAMES };
  }

  update(frame: number, ...detections: Detection[]): void {
    this.camera.add(frame, 0, 0);
    this.tracker.update(frame, detections, PICTURE_SIDE);
  }

  /** The frames must be asked for in order: what is behind the oldest is forgotten. */
  coversAt(frame: number): Cover[] {
    return this.tracker.tracksFrom(frame).flatMap((track) => coversAt(track, frame, this.camera, this.#limits));
  }

  /** The ids that cover a point of a frame. */
  idsAt(frame: number, x: number, y: number): number[] {
    return [...new Set(this.coversAt(frame).flatMap(({ track, box }) => (holds(box, x, y) ? [track] : [])))];
  }
}

export function holds(box: Box, x: number, y: number): boolean {
  return x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;
}

/** Whether one box lies wholly in another. */
export function contains(outer: Box, inner: Box): boolean {
  return (
    outer.x <= inner.x &&
    outer.y <= inner.y &&
    outer.x + outer.w >= inner.x + inner.w &&
    outer.y + outer.h >= inner.y + inner.h
  );
}
