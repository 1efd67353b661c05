import { InferenceError } from '../errors.ts';
import { exifOrientation } from './exif-orientation.ts';

/** A PNG of 50 MB in the usual chunks of 8 KiB has 6,000: what has more is made to keep us busy. */
const MAX_PARTS = 100_000;

export type ImageFormat = 'jpeg' | 'png' | 'webp';

/** What a still picture's file says of it, read without decoding anything. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** As stored, before it is turned upright. */
  readonly width: number;
  readonly height: number;
  readonly bitsPerChannel: number;
  readonly isAnimated: boolean;
  /** Its end is there. */
  readonly isWhole: boolean;
  /** 1 to 8. @see exifOrientation */
  readonly orientation: number;
}

/** What a file is by its first bytes, whatever it is called; null for all that is not taken. */
export function imageFormatOf(file: Uint8Array): ImageFormat | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length >= 2 && view.getUint16(0) === 0xffd8) return 'jpeg';
  if (file.length >= 8 && view.getUint32(0) === 0x89504e47 && view.getUint32(4) === 0x0d0a1a0a) return 'png';
  if (file.length >= 12 && fourCc(view, 0) === 'RIFF' && fourCc(view, 8) === 'WEBP') return 'webp';
  return null;
}

/**
 * Reads the header of a JPEG, PNG or WebP file, by its bytes and not by its name.
 * @throws InferenceError 'input-unreadable' for anything else, 'input-truncated' where the header itself is cut off
 */
export function readImageHeader(file: Uint8Array): ImageHeader {
  const format = imageFormatOf(file);
  if (!format) throw unreadable('it is no JPEG, PNG or WebP picture');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    if (format === 'jpeg') return readJpeg(file, view);
    return format === 'png' ? readPng(file, view) : readWebp(file, view);
  } catch (error) {
    if (error instanceof RangeError) throw new InferenceError('input-truncated', 'it is cut off', { cause: error });
    throw error;
  }
}

/** Pixels as MAX_IMAGE_PIXELS counts them. */
export function countedPixels({ width, height, bitsPerChannel }: ImageHeader): number {
  return width * height * (bitsPerChannel > 8 ? 2 : 1);
}

/**
 *     FF D8 · { FF marker · length (2) · segment } … · FF DA … scan … · FF D9
 *     start of frame (C0–CF but C4, C8, CC): bits (1) · height (2) · width (2) · components (1)
 *
 * @see ITU-T T.81, B.2
 */
function readJpeg(file: Uint8Array, view: DataView): ImageHeader {
  let [orientation, parts] = [1, 0];
  for (let at = 2; ; ) {
    if (parts++ > MAX_PARTS) throw tooManyParts();
    if (view.getUint8(at) !== 0xff) throw unreadable('its JPEG segments are damaged');
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (length < 2 || marker === 0xda || marker === 0xd9) throw unreadable('it is a JPEG without a picture');
    const segment = file.subarray(at + 4, at + 2 + length);
    // The first that says so: editors write theirs in front.
    if (marker === 0xe1 && orientation === 1 && startsWith(segment, 'Exif\0\0')) {
      orientation = exifOrientation(segment.subarray(6));
    }
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const [bitsPerChannel, height, width] = [view.getUint8(at + 4), view.getUint16(at + 5), view.getUint16(at + 7)];
      // Behind the frame's header there is only the picture and what follows it.
      const isWhole = Buffer.from(file.buffer, file.byteOffset, file.length).lastIndexOf('\xff\xd9', -1, 'latin1') > at;
      return { format: 'jpeg', width, height, bitsPerChannel, isAnimated: false, isWhole, orientation };
    }
    at += 2 + length;
  }
}

/**
 *     signature (8) · { length (4) · type (4) · data · CRC (4) } …, first IHDR: width (4) · height (4) · bits (1) …
 *
 * @see PNG (third edition), 5.3, and 11.3.3.1 for acTL
 */
function readPng(file: Uint8Array, view: DataView): ImageHeader {
  if (fourCc(view, 12) !== 'IHDR') throw unreadable('its PNG header is damaged');
  const header = { width: view.getUint32(16), height: view.getUint32(20), bitsPerChannel: view.getUint8(24) };
  let [isAnimated, isWhole, orientation, parts] = [false, false, 1, 0];
  for (let at = 8; at + 12 <= file.length && !isWhole; at += 12 + view.getUint32(at)) {
    if (parts++ > MAX_PARTS) throw tooManyParts();
    const type = fourCc(view, at + 4);
    if (type === 'acTL') isAnimated = true;
    if (type === 'IEND') isWhole = true;
    if (type === 'eXIf') orientation = exifOrientation(file.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  return { format: 'png', ...header, isAnimated, isWhole, orientation };
}

/**
 *     RIFF · size (4) · WEBP · { type (4) · length (4) · data, padded to even } …
 *     VP8X: flags (1) · 0 (3) · width − 1 (3) · height − 1 (3)
 *     VP8␣: frame tag (3) · 9D 01 2A · width (14 of 16 bits) · height (likewise)
 *     VP8L: 2F · width − 1 (14 bits) · height − 1 (14 bits)
 *
 * @see RFC 9649 §2
 */
function readWebp(file: Uint8Array, view: DataView): ImageHeader {
  let [width, height, isAnimated, orientation, parts] = [0, 0, false, 1, 0];
  const end = 8 + view.getUint32(4, true);
  for (let at = 12; at + 8 <= Math.min(end, file.length); ) {
    if (parts++ > MAX_PARTS) throw tooManyParts();
    const type = fourCc(view, at);
    const length = view.getUint32(at + 4, true);
    const data = at + 8;
    if (type === 'VP8X') isAnimated = (view.getUint8(data) & 2) !== 0;
    if (type === 'ANIM' || type === 'ANMF') isAnimated = true;
    if (type === 'VP8 ') {
      [width, height] = [view.getUint16(data + 6, true) & 0x3fff, view.getUint16(data + 8, true) & 0x3fff];
    }
    if (type === 'VP8L') {
      const bits = view.getUint32(data + 1, true);
      [width, height] = [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
    }
    if (type === 'EXIF') {
      const exif = file.subarray(data, data + length);
      // Some writers keep JPEG's prefix.
      orientation = exifOrientation(startsWith(exif, 'Exif\0\0') ? exif.subarray(6) : exif);
    }
    at = data + length + (length % 2);
  }
  if (isAnimated || width > 0) {
    return { format: 'webp', width, height, bitsPerChannel: 8, isAnimated, isWhole: end <= file.length, orientation };
  }
  throw unreadable('it is a WebP without a picture');
}

function fourCc(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((character, i) => bytes[i] === character.charCodeAt(0));
}

function tooManyParts(): InferenceError {
  return unreadable(`it is in more than ${MAX_PARTS} parts`);
}

function unreadable(reason: string): InferenceError {
  return new InferenceError('input-unreadable', reason);
}
