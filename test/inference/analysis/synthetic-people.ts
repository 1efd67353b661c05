import type { Analysis, GoodLook, Tracklet } from '../../../inference/analysis/analysis.ts';
import { meanOf } from '../../../inference/analysis/mean-of-looks.ts';
import type { Cover } from '../../../inference/track/coverage.ts';

export const THRESHOLDS = { accept: 0.9, track: 0.93, reject: 0.8 };
const DIMENSION = 8;

/** A direction, so many degrees away from a person's own, of unit length: people are at right angles to each other. */
export function lookOf(person: number, degrees = 0): Float32Array {
  const angle = (degrees * Math.PI) / 180;
  const embedding = new Float32Array(DIMENSION);
  embedding[person] = Math.cos(angle);
  embedding[DIMENSION - 1] = Math.sin(angle);
  return embedding;
}

/** Between two people: `share` of the one, the rest of the other, of unit length. */
export function between(one: number, other: number, share: number): Float32Array {
  const embedding = new Float32Array(DIMENSION);
  embedding[one] = Math.sqrt(share);
  embedding[other] = Math.sqrt(1 - share);
  return embedding;
}

export function goodLooks(frames: readonly number[], embedding: Float32Array): GoodLook[] {
  return frames.map((frame) => ({ frame, embedding, quality: 0.7 }));
}

export function tracklet(track: number, firstFrame: number, lastFrame: number, looks: readonly GoodLook[]): Tracklet {
  return { track, firstFrame, lastFrame, looks, mean: meanOf(looks)! };
}

export function analysisOf(tracklets: readonly Tracklet[]): Analysis {
  return {
    path: 'none',
    width: 64,
    height: 48,
    fps: 30,
    frames: 300,
    durationMs: 10_000,
    detector: 'synthetic',
    recogniser: 'synthetic',
    thresholds: THRESHOLDS,
    tracklets,
    people: [],
  };
}

export function seen(track: number, x: number, score: number | null = 0.9): Cover {
  return { track, box: { x, y: 10, w: 40, h: 40 }, score };
}
