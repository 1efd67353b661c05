export interface Vp8FrameHeader {
  readonly isKeyframe: boolean;
  /** In pixels, without the scaling that the header may ask for; null in other frames than keyframes. */
  readonly size: { readonly width: number; readonly height: number } | null;
}

const TAG_BYTES = 3;
const KEYFRAME_HEADER_BYTES = 10;

/**
 * Reads the uncompressed start of a VP8 frame (little-endian, unlike all else in RTP).
 *
 *      frame tag, 24 bits:  first_part_size (19) | show_frame (1) | version (3) | not a keyframe (1, the lowest)
 *      in keyframes:        start code 9d 01 2a, scale (2) | width (14), scale (2) | height (14)
 *
 * @returns null where it is cut short, or its first partition would be longer than the frame
 * @see RFC 6386 §9.1
 */
export function parseVp8FrameHeader(frame: Uint8Array): Vp8FrameHeader | null {
  if (frame.length < TAG_BYTES) return null;
  const isKeyframe = (frame[0] & 1) === 0;
  const firstPartitionBytes = (frame[0] | (frame[1] << 8) | (frame[2] << 16)) >> 5;
  const headerBytes = isKeyframe ? KEYFRAME_HEADER_BYTES : TAG_BYTES;
  if (headerBytes + firstPartitionBytes > frame.length) return null;
  if (!isKeyframe) return { isKeyframe, size: null };
  if (frame[3] !== 0x9d || frame[4] !== 0x01 || frame[5] !== 0x2a) return null;
  const width = (frame[6] | (frame[7] << 8)) & 0x3fff;
  const height = (frame[8] | (frame[9] << 8)) & 0x3fff;
  if (width === 0 || height === 0) return null;
  return { isKeyframe, size: { width, height } };
}
