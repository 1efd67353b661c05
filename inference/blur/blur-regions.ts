import type { VideoFrame } from '../media/video-frame.ts';
import { coverPlane } from './cover-plane.ts';
import type { PicturePool } from './picture-pool.ts';
import type { Redacted } from './redacted.ts';
import { type Region, wholeRegion } from './region.ts';

/**
 * Covers the regions of a picture: the only maker of `Redacted`. Takes the frame over.
 * @throws InferenceError 'run-failed' when there is no memory to draw in
 */
export function blurRegions(frame: VideoFrame, regions: readonly Region[], pool: PicturePool): Redacted<VideoFrame> {
  if (regions.length === 0) return frame as Redacted<VideoFrame>;
  const copy = pool.copy(frame);
  for (const region of regions) {
    for (const [index, plane] of copy.planes.entries()) coverPlane(plane, region, index === 0 ? 1 : 0.5);
  }
  return copy.frame as Redacted<VideoFrame>;
}

/** Covers the whole picture, for when detection or tracking failed on it. Takes the frame over. */
export function coverWhole(frame: VideoFrame, pool: PicturePool): Redacted<VideoFrame> {
  return blurRegions(frame, [wholeRegion(frame.picture.width, frame.picture.height)], pool);
}
