import sharp from 'sharp';
import { STRIDE } from './signatures.ts';

/** A picture of 320 × 192 with one red square: the cell in column 11 and row 4 of a detector's level of that stride. */
export async function plantedPng(): Promise<Buffer> {
  const square = { create: { width: STRIDE, height: STRIDE, channels: 3 as const, background: '#f00' } };
  return sharp({ create: { width: 320, height: 192, channels: 3, background: '#000' } })
    .composite([{ input: await sharp(square).png().toBuffer(), left: 11 * STRIDE, top: 4 * STRIDE }])
    .png()
    .toBuffer();
}
