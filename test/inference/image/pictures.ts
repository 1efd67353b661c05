import { FilterAPI, Frame, Rational } from 'node-av';
import sharp, { type Sharp } from 'sharp';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';

export const FORMATS = ['jpeg', 'png', 'webp'] as const;
export type Format = (typeof FORMATS)[number];

/** A photo with five faces, small. */
export function photo(width = 240): Sharp {
  return sharp(FIVE_PEOPLE.path).resize(width);
}

/** The photo in a format, stored in one of Exif's eight ways so that it is upright when it is turned as that says. */
export async function stored(format: Format, orientation: number, width?: number): Promise<Buffer> {
  const upright = await photo(width).png().toBuffer();
  // What undoes each of Exif's ways: those that turn by a quarter undo each other.
  const { flip, flop, turn } = [
    { flip: false, flop: false, turn: 0 },
    { flip: false, flop: true, turn: 0 },
    { flip: false, flop: false, turn: 180 },
    { flip: true, flop: false, turn: 0 },
    { flip: false, flop: true, turn: 270 },
    { flip: false, flop: false, turn: 270 },
    { flip: false, flop: true, turn: 90 },
    { flip: false, flop: false, turn: 90 },
  ][orientation - 1]!;
  const mirrored = await sharp(upright).flip(flip).flop(flop).png().toBuffer();
  const turned = sharp(await sharp(mirrored).rotate(turn).png().toBuffer()).withMetadata({ orientation });
  return turned.toFormat(format, format === 'png' ? {} : { quality: 95 }).toBuffer();
}

/** A decoded picture as interleaved RGB. Takes it over. */
export function rgbOf(picture: Frame): { width: number; height: number; data: Buffer } {
  picture.timeBase = new Rational(1, 1);
  picture.pts = 0n;
  using filter = FilterAPI.create('format=rgb24', {});
  filter.processSync(picture);
  const converted = filter.receiveSync();
  if (!(converted instanceof Frame)) throw new Error('no picture came back');
  const { width, height } = converted;
  const data = converted.toBuffer();
  converted.free();
  picture.free();
  return { width, height, data };
}

/** Mean difference of two pictures' values, 0..255. */
export function meanDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Number.NaN;
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}
