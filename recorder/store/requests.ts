import { RecorderError } from '../errors.ts';
import { type ByteRange, MAX_PART_BYTES, MAX_SIGNED_SECONDS } from './object-store.ts';

const MAX_LISTED = 1000;

/** @throws RangeError */
export function checkedLimit(limit = MAX_LISTED): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED) {
    throw new RangeError(`a page holds 1 to ${MAX_LISTED} objects`);
  }
  return limit;
}

/** When what is signed now expires, on a full second. @throws RangeError */
export function expiryOf(seconds: number, now = new Date()): Date {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SIGNED_SECONDS) {
    throw new RangeError(`a signed address lasts 1 to ${MAX_SIGNED_SECONDS} seconds`);
  }
  return new Date((Math.floor(now.getTime() / 1000) + seconds) * 1000);
}

/** `Content-Disposition` of what is read by a signed address: saved under a name, or shown. @see RFC 6266, RFC 8187 */
export function dispositionOf(filename: string | undefined): string {
  if (filename === undefined) return 'inline';
  const plain = filename.replace(/[^A-Za-z0-9 ._-]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** @throws RecorderError 'too-large' for what one request can't bring */
export function checkPutSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a size is a whole number of bytes');
  if (size > MAX_PART_BYTES) throw new RecorderError('too-large', `one upload brings at most ${MAX_PART_BYTES} bytes`);
}

/** @throws RecorderError 'bad-part' */
export function checkPartSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 1 || size > MAX_PART_BYTES) {
    throw new RecorderError('bad-part', `a part has 1 to ${MAX_PART_BYTES} bytes`);
  }
}

/**
 * The first and the last byte of a range in an object of `size` bytes; -1 as the last where the object is empty.
 * @throws RecorderError 'bad-range' where no byte of the object lies in it
 */
export function resolveRange(range: ByteRange | undefined, size: number): { start: number; end: number } {
  if (!range) return { start: 0, end: size - 1 };
  const { start, end = size - 1 } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start >= size || end < start) {
    throw new RecorderError('bad-range', `the object has ${size} bytes and none in that range`);
  }
  return { start, end: Math.min(end, size - 1) };
}
