import { readFileSync, writeFileSync } from 'node:fs';

/** One turn clockwise, as a phone held upright writes it: 16.16 fixed point, the last column 2.30. */
const QUARTER_TURN = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
/** From the start of a `tkhd` box's type to its matrix, in its version 0. @see ISO/IEC 14496-12 §8.3.2 */
const MATRIX_OFFSET = 4 + 4 + 20 + 8 + 8;

/** Marks the first track of an MP4 file as to be shown a quarter turn clockwise. */
export function turnVideo(path: string): void {
  const bytes = readFileSync(path);
  const tkhd = bytes.indexOf('tkhd');
  for (const [i, value] of QUARTER_TURN.entries()) bytes.writeInt32BE(value, tkhd + MATRIX_OFFSET + 4 * i);
  writeFileSync(path, bytes);
}

/** Where the coded pictures and sound of an MP4 file lie: its first `mdat` box, without the header. */
export function mediaData(bytes: Buffer): { start: number; end: number } {
  const type = bytes.indexOf('mdat');
  return { start: type + 4, end: type - 4 + bytes.readUInt32BE(type - 4) };
}
