import type { PixelBox, Plane } from './plane.ts';
import type { Region } from './region.ts';

/** How far past the mask its cover fades into the picture, as a part of the mask's radius. */
const FEATHER = 0.08;
/** The square of the rim's radius, where the mask's is 1, and what brings the fade between them from 0 to 1. */
const RIM = (1 + FEATHER) ** 2;
const FADE = 1 / (RIM - 1);

/** What to draw: the values of row `y`, from the left end of the box that was asked for. Borrowed until the next row. */
export type RowAt = (y: number) => Uint8Array;

/** The pixels that a region's cover and its fading rim lie in, given those of its mask. */
export function rimBox({ width, height }: Plane, region: Region, scale: number, mask: PixelBox): PixelBox {
  if (region.shape === 'rectangle') return mask;
  const [rimX, rimY] = [Math.ceil(region.radiusX * scale * FEATHER), Math.ceil(region.radiusY * scale * FEATHER)];
  return {
    left: Math.max(0, mask.left - rimX),
    right: Math.min(width, mask.right + rimX),
    top: Math.max(0, mask.top - rimY),
    bottom: Math.min(height, mask.bottom + rimY),
  };
}

/**
 * Draws under a region's mask, in place. Every pixel that the mask touches is drawn over whole; the cover fades into the
 * picture outside of it.
 * @param box what `rimBox` says
 */
export function paintMask(plane: Plane, region: Region, scale: number, box: PixelBox, rowAt: RowAt): void {
  const { data, stride } = plane;
  const { left, right, top, bottom } = box;
  if (region.shape === 'rectangle') {
    for (let y = top; y < bottom; y++) copyRun(data, y * stride, rowAt(y), left, left, right);
    return;
  }
  const centreX = region.centreX * scale;
  const centreY = region.centreY * scale;
  const radiusX = region.radiusX * scale;
  const radiusY = region.radiusY * scale;
  for (let y = top; y < bottom; y++) {
    const dy = (y + 0.5 - centreY) / radiusY;
    const outer = RIM - dy * dy;
    if (outer <= 0) continue;
    const reach = radiusX * Math.sqrt(outer);
    const from = Math.max(left, Math.floor(centreX - reach));
    const to = Math.min(right, Math.ceil(centreX + reach));
    const half = dy * dy < 1 ? radiusX * Math.sqrt(1 - dy * dy) : 0;
    const coverFrom = half > 0 ? Math.max(from, Math.floor(centreX - half)) : to;
    const coverTo = half > 0 ? Math.min(to, Math.ceil(centreX + half)) : to;
    const row = rowAt(y);
    const line = y * stride;
    fadeRun(data, line, row, left, from, coverFrom, outer, centreX, radiusX);
    copyRun(data, line, row, left, coverFrom, coverTo);
    fadeRun(data, line, row, left, coverTo, to, outer, centreX, radiusX);
  }
}

/** Plain arguments: objects would cost more than what is drawn. @param line where the picture's row begins in `data` */
function copyRun(data: Uint8Array, line: number, row: Uint8Array, left: number, from: number, to: number): void {
  if (to > from) data.set(row.subarray(from - left, to - left), line + from);
}

/** @param outer the square of half the rim's width in this row, where `radius` is 1 */
function fadeRun(
  data: Uint8Array,
  line: number,
  row: Uint8Array,
  left: number,
  from: number,
  to: number,
  outer: number,
  centre: number,
  radius: number,
): void {
  const unit = 1 / radius;
  for (let x = from; x < to; x++) {
    const dx = (x + 0.5 - centre) * unit;
    const near = outer - dx * dx;
    if (near <= 0) continue;
    const value = data[line + x]!;
    data[line + x] = value + (row[x - left]! - value) * Math.min(1, near * FADE);
  }
}
