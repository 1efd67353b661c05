import sharp from 'sharp';
import type { FacePhoto } from '../../clips/face-photo.ts';

/** How much of what surrounds the face is cut out with it, as part of the face. */
const AROUND = 0.5;

/** One person cut out of a photo of several, as a JPEG of a size as phones send them. */
export function portrait({ path, boxes }: FacePhoto, person: number): Promise<Buffer> {
  const [x, y, w, h] = boxes[person]!;
  const cut = {
    left: Math.round(x - AROUND * w),
    top: Math.round(y - AROUND * h),
    width: Math.round(w * (1 + 2 * AROUND)),
    height: Math.round(h * (1 + 2 * AROUND)),
  };
  return sharp(path).extract(cut).jpeg({ quality: 95 }).toBuffer();
}
