import type { BlurPolicy } from '../policy.ts';
import type { Box } from '../track/box.ts';
import type { PixelBox, Plane } from './plane.ts';

/** Cells across a face at strength 0. At 16 a face reads again, at 8 what is blurred in the source may, at 6 a dark brow. */
const MAX_CELLS = 5;
/** Cells across a face at strength 1. */
const MIN_CELLS = 3;
/** What is left of the cells' differences at strength 0 and 1: a hard shadow or a brim would still be read in them. */
const MAX_CONTRAST = 0.45;
const MIN_CONTRAST = 0.3;
/** No cell is smaller than this, so that small faces get fewer cells. Pixels. */
const MIN_CELL_PX = 6;
/** The Gaussian's standard deviation at strength 0 and 1, as a part of the face. */
const MIN_SIGMA = 0.1;
const MAX_SIGMA = 0.2;
const MIN_SIGMA_PX = 3;

/** What is drawn under a mask. Lengths are pixels of the luma plane. */
export type Look =
  /** Averaged, rounded cells of this side; `contrast`, 0..1, is how much of their differences in luma is left. */
  | { readonly style: 'mosaic'; readonly cellPx: number; readonly contrast: number }
  | { readonly style: 'solid' }
  /** `contrast` as above, of what is left of luma after the blur. */
  | { readonly style: 'gaussian'; readonly sigmaPx: number; readonly contrast: number };

/** A place to cover: the mask is the ellipse of these half axes, or the whole rectangle. Pixels of the luma plane. */
export interface Region {
  readonly centreX: number;
  readonly centreY: number;
  readonly radiusX: number;
  readonly radiusY: number;
  readonly shape: 'ellipse' | 'rectangle';
  readonly look: Look;
}

/** The mask of a face: an ellipse that reaches `margin` of the box past it, with a look that hides who it is. */
export function faceRegion(face: Box, { style, strength, margin }: BlurPolicy): Region {
  return {
    centreX: face.x + face.w / 2,
    centreY: face.y + face.h / 2,
    radiusX: (face.w / 2) * (1 + margin),
    radiusY: (face.h / 2) * (1 + margin),
    shape: 'ellipse',
    look: faceLook(style, strength, Math.max(face.w, face.h)),
  };
}

/** The region that covers everything, for when nothing is known about the picture: a mosaic, whatever the style. */
export function wholeRegion(width: number, height: number): Region {
  return {
    centreX: width / 2,
    centreY: height / 2,
    radiusX: width,
    radiusY: height,
    shape: 'rectangle',
    look: { style: 'mosaic', cellPx: Math.max(width, height) / MIN_CELLS, contrast: MIN_CONTRAST },
  };
}

/** The pixels of a plane that a region's mask lies in, or null where it lies outside. */
export function regionBox({ width, height }: Plane, region: Region, scale: number): PixelBox | null {
  const left = Math.max(0, Math.floor((region.centreX - region.radiusX) * scale));
  const right = Math.min(width, Math.ceil((region.centreX + region.radiusX) * scale));
  const top = Math.max(0, Math.floor((region.centreY - region.radiusY) * scale));
  const bottom = Math.min(height, Math.ceil((region.centreY + region.radiusY) * scale));
  return right > left && bottom > top ? { left, right, top, bottom } : null;
}

function faceLook(style: BlurPolicy['style'], strength: number, facePx: number): Look {
  const contrast = between(MAX_CONTRAST, MIN_CONTRAST, strength);
  switch (style) {
    case 'mosaic':
      return { style, cellPx: Math.max(MIN_CELL_PX, facePx / between(MAX_CELLS, MIN_CELLS, strength)), contrast };
    case 'gaussian':
      return { style, sigmaPx: Math.max(MIN_SIGMA_PX, facePx * between(MIN_SIGMA, MAX_SIGMA, strength)), contrast };
    case 'solid':
      return { style };
  }
}

function between(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}
