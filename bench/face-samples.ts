import sharp from 'sharp';
import type { Box } from './clip-motion.ts';
import { type PhotoPlanes, readPhoto } from './photo-planes.ts';

/** How much around the face is kept, in its sides: any mask must fit. */
const AROUND = 0.7;

/** One face of a photo, in grey, brought to a size. */
export interface FaceSample {
  readonly luma: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** Where the face is, whole pixels. */
  readonly left: number;
  readonly top: number;
  readonly faceWidth: number;
  readonly faceHeight: number;
}

/** A photo and where its faces are. */
export interface FacedPhoto {
  readonly photo: PhotoPlanes;
  readonly boxes: readonly Box[];
}

export async function readFacedPhoto(path: string, boxes: readonly Box[]): Promise<FacedPhoto> {
  return { photo: await readPhoto(path), boxes };
}

/** Each whole face that is at least so wide and high, made smaller to be `widthPx` wide: none is ever enlarged. */
export async function faceSamples({ photo, boxes }: FacedPhoto, widthPx: number): Promise<FaceSample[]> {
  const large = boxes.filter(([x, y, w, h]) => {
    const isWhole = x >= 0 && y >= 0 && x + w <= photo.width && y + h <= photo.height;
    return isWhole && Math.min(w, h) >= widthPx;
  });
  return Promise.all(large.map((box) => faceSample(photo, box, widthPx)));
}

async function faceSample({ planes, width, height }: PhotoPlanes, [x, y, w, h]: Box, widthPx: number) {
  const scale = widthPx / w;
  const left = Math.max(0, Math.floor(x - w * AROUND));
  const top = Math.max(0, Math.floor(y - h * AROUND));
  const right = Math.min(width, Math.ceil(x + w * (1 + AROUND)));
  const bottom = Math.min(height, Math.ceil(y + h * (1 + AROUND)));
  const size = { width: Math.round((right - left) * scale), height: Math.round((bottom - top) * scale) };
  const luma = await sharp(planes[0], { raw: { width, height, channels: 1 } })
    .extract({ left, top, width: right - left, height: bottom - top })
    .resize({ ...size, fit: 'fill', kernel: 'lanczos3' })
    .extractChannel(0)
    .raw()
    .toBuffer();
  const faceHeight = Math.round(h * scale);
  return {
    luma: new Uint8Array(luma),
    ...size,
    left: Math.min(size.width - widthPx, Math.round((x - left) * scale)),
    top: Math.min(size.height - faceHeight, Math.round((y - top) * scale)),
    faceWidth: widthPx,
    faceHeight,
  } satisfies FaceSample;
}
