import { FFmpegError } from 'node-av';
import { InferenceError } from '../errors.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { mosaicPlane, type Plane, type Region, wholeRegion } from './mosaic.ts';
import type { Redacted } from './redacted.ts';

/**
 * Covers the regions of a picture in place: the only maker of `Redacted`. Takes the frame over.
 * @throws InferenceError 'run-failed' when the picture's memory can't be written
 */
export function blurRegions(frame: VideoFrame, regions: readonly Region[]): Redacted<VideoFrame> {
  if (regions.length > 0) {
    // The decoder still predicts later pictures from this memory; it gets written only in a copy of our own.
    const writable = frame.picture.makeWritable();
    if (writable < 0) throw new InferenceError('run-failed', `no memory to blur in (${FFmpegError.strerror(writable)})`);
    const planes = planesOf(frame);
    for (const region of regions) {
      for (const [index, plane] of planes.entries()) mosaicPlane(plane, region, index === 0 ? 1 : 0.5);
    }
  }
  return frame as Redacted<VideoFrame>;
}

/** Covers the whole picture, for when detection or tracking failed on it. Takes the frame over. */
export function coverWhole(frame: VideoFrame): Redacted<VideoFrame> {
  return blurRegions(frame, [wholeRegion(frame.picture.width, frame.picture.height)]);
}

function planesOf({ picture }: VideoFrame): Plane[] {
  const { width, height, linesize } = picture;
  const data = picture.data;
  if (!data || data.length < 3) throw new InferenceError('run-failed', 'the picture has no planes');
  return data.slice(0, 3).map((plane, index) => ({
    data: plane,
    stride: linesize[index] ?? 0,
    width: index === 0 ? width : (width + 1) >> 1,
    height: index === 0 ? height : (height + 1) >> 1,
  }));
}
