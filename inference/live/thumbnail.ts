import type { Frame } from 'node-av';
import { faceThumbnail } from '../media/face-thumbnail.ts';
import type { Box } from '../track/box.ts';

/** The longer side. Pixels. */
const MAX_SIDE = 96;
/** Of a face less than this is in the picture: nothing to see. Pixels. */
const MIN_SIDE = 8;

/**
 * Cuts one face out of a picture, which it borrows, as a small JPEG in a data: URL.
 * @returns null where there is too little of it to see, or it can't be coded: a picture less in a list
 */
export function thumbnailOf(picture: Frame, face: Box): string | null {
  const { x, y, w, h } = face;
  const shownWidth = Math.min(picture.width, x + w) - Math.max(0, x);
  const shownHeight = Math.min(picture.height, y + h) - Math.max(0, y);
  if (shownWidth < MIN_SIDE || shownHeight < MIN_SIDE) return null;
  try {
    const jpeg = faceThumbnail(picture, face, MAX_SIDE);
    return `data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}`;
  } catch {
    return null;
  }
}
