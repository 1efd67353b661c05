import { InferenceError } from '../../inference/errors.ts';
import { countedPixels, type ImageHeader, imageFormatOf, readImageHeader } from '../../inference/image/image-header.ts';
import { MAX_IMAGE_PIXELS } from '../../inference/image/image-limits.ts';
import { GatewayError } from '../errors.ts';
import { toStillError } from './still-errors.ts';

/** Largest picture over HTTP. A photo of 50 megapixels from a phone has about 15 MB. */
export const MAX_STILL_BYTES = 25_000_000;

/**
 * Looks at a picture's first bytes and its header, whatever it is called, before anything of it is decoded.
 * @param name the picture's, as the client called it
 * @throws GatewayError 'bad-image' (empty, damaged, cut off) | 'image-too-large' (bytes, pixels) |
 *   'unsupported-media-type' (no JPEG, PNG or WebP) | 'unprocessable' (animated)
 */
export function checkImage(file: Uint8Array, name: string): void {
  if (file.length === 0) throw new GatewayError('bad-image', `${name}: it is empty`);
  if (file.length > MAX_STILL_BYTES) {
    throw new GatewayError('image-too-large', `${name}: it is larger than ${MAX_STILL_BYTES} bytes`);
  }
  if (imageFormatOf(file) === null) {
    throw new GatewayError('unsupported-media-type', `${name}: it is no JPEG, PNG or WebP picture`);
  }
  const header = headerOf(file, name);
  const { width, height, isAnimated, isWhole } = header;
  if (isAnimated) throw new GatewayError('unprocessable', `${name}: it is animated; send one still picture`);
  if (countedPixels(header) > MAX_IMAGE_PIXELS) {
    const limit = `${MAX_IMAGE_PIXELS / 1e6} megapixels at 8 bits`;
    throw new GatewayError('image-too-large', `${name}: its ${width}×${height} pixels are more than ${limit}`);
  }
  if (!isWhole) throw toStillError(new InferenceError('input-truncated', 'it is cut off'), name);
}

function headerOf(file: Uint8Array, name: string): ImageHeader {
  try {
    return readImageHeader(file);
  } catch (error) {
    throw toStillError(error, name);
  }
}
