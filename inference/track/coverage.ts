import { type Box, centreDistance, grow, interpolate, shift } from './box.ts';
import type { CameraPath } from './camera-path.ts';
import type { Sighting, Track } from './track.ts';

export interface CoverageLimits {
  /** A face out of sight stays covered for so many frames after it was last seen. */
  readonly afterFrames: number;
  /** And for so many before it was first seen. */
  readonly beforeFrames: number;
}

/** A place to cover, in pixels of the picture. */
export interface Cover {
  readonly track: number;
  readonly box: Box;
  /** The detector's score where it saw the face in this very frame, else null. */
  readonly score: number | null;
}

/** A prediction loses its speed over so many frames: a face that left its path is most likely still near it. */
const DAMPING_FRAMES = 15;
/** A face seen once is predicted for so many frames, and for so many more with each likely sighting. */
const REACH_ONCE = 8;
const REACH_A_SIGHTING = 8;
/** Growth of a predicted box a frame, and its bound. */
const PREDICTED_GROWTH = 0.03;
const MAX_PREDICTED_GROWTH = 1.8;
/** Growth of an interpolated box a frame away from the nearer sighting, and its bound. */
const INTERPOLATED_GROWTH = 0.03;
const MAX_INTERPOLATED_GROWTH = 1.5;
/** A face that moved by more than this (in sides) between two sightings is covered on both their paths. */
const FAR = 0.35;
/** Velocity is told from sightings at most this many frames apart. */
const VELOCITY_FRAMES = 8;

/** Everything of one track that must be covered in one frame; empty when it does not reach there. */
export function coversAt(track: Track, frame: number, camera: CameraPath, limits: CoverageLimits): Cover[] {
  if (frame < track.sceneStart || frame >= track.sceneEnd) return [];
  const { sightings } = track;
  let next = sightings.length;
  while (next > 0 && sightings[next - 1]!.frame > frame) next--;
  const before = sightings[next - 1];
  const after = sightings[next];
  const stop = camera.at(frame);
  const cover = (box: Box, score: number | null): Cover => ({
    track: track.id,
    box: shift(box, stop.x, stop.y),
    score,
  });

  if (before?.frame === frame) return [cover(before, before.score)];
  if (before && after) {
    const t = (frame - before.frame) / (after.frame - before.frame);
    const near = Math.min(frame - before.frame, after.frame - frame);
    const growth = Math.min(MAX_INTERPOLATED_GROWTH, 1 + INTERPOLATED_GROWTH * near);
    const covers = [cover(grow(interpolate(before, after, t), growth), null)];
    if (centreDistance(before, after) > FAR) {
      covers.push(cover(grow(before, growth), null), cover(grow(after, growth), null));
    }
    return covers;
  }
  const reach = REACH_ONCE + REACH_A_SIGHTING * track.likelySightings;
  if (before) {
    const away = frame - before.frame;
    if (away > Math.min(limits.afterFrames, reach)) return [];
    return [cover(predicted(before, velocityAt(sightings, 'end'), away), null)];
  }
  if (after) {
    const away = after.frame - frame;
    if (away > Math.min(limits.beforeFrames, reach)) return [];
    return [cover(predicted(after, velocityAt(sightings, 'start'), -away), null)];
  }
  return [];
}

function predicted(from: Box, velocity: { x: number; y: number }, frames: number): Box {
  const away = Math.abs(frames);
  const run = Math.sign(frames) * DAMPING_FRAMES * (1 - Math.exp(-away / DAMPING_FRAMES));
  const growth = Math.min(MAX_PREDICTED_GROWTH, 1 + PREDICTED_GROWTH * away);
  return grow(shift(from, velocity.x * run, velocity.y * run), growth);
}

/** Pixels a frame at one end of a track. */
function velocityAt(sightings: readonly Sighting[], end: 'start' | 'end'): { x: number; y: number } {
  const ordered = end === 'start' ? sightings : [...sightings].reverse();
  const [edge] = ordered;
  if (!edge) return { x: 0, y: 0 };
  const other = ordered.findLast(({ frame }) => Math.abs(frame - edge.frame) <= VELOCITY_FRAMES);
  if (!other || other.frame === edge.frame) return { x: 0, y: 0 };
  const frames = other.frame - edge.frame;
  return {
    x: (other.x + other.w / 2 - edge.x - edge.w / 2) / frames,
    y: (other.y + other.h / 2 - edge.y - edge.h / 2) / frames,
  };
}
