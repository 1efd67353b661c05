import { gaussianRows } from './gaussian.ts';
import { paintMask, type RowAt, rimBox } from './mask.ts';
import { mosaicRows } from './mosaic.ts';
import type { PixelBox, Plane } from './plane.ts';
import { type Region, regionBox } from './region.ts';

/** The one colour of a solid cover: a grey that is the same for every face, and so tells nothing and does not flicker. */
const SOLID_LUMA = 96;
const SOLID_CHROMA = 128;

/**
 * Covers what lies under a region's mask, in place.
 * @param scale size of this plane against the luma plane: 1, or 0.5 for chroma
 */
export function coverPlane(plane: Plane, region: Region, scale: number): void {
  const mask = regionBox(plane, region, scale);
  if (!mask) return;
  const rim = rimBox(plane, region, scale, mask);
  paintMask(plane, region, scale, rim, rowsOf(plane, region, scale, mask, rim));
}

function rowsOf(plane: Plane, region: Region, scale: number, mask: PixelBox, rim: PixelBox): RowAt {
  const { look } = region;
  switch (look.style) {
    case 'mosaic':
      return mosaicRows(plane, region, look, scale, mask, rim);
    case 'gaussian':
      return gaussianRows(plane, region, look, scale, mask, rim);
    case 'solid': {
      const row = new Uint8Array(rim.right - rim.left).fill(scale === 1 ? SOLID_LUMA : SOLID_CHROMA);
      return () => row;
    }
  }
}
