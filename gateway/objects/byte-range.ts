import type { ByteRange } from '../../recorder/store/object-store.ts';

/**
 * The range that a `Range` header asks for, of `size` bytes; null where all is to be sent: for none, for a header that is
 * malformed or of another unit, and for several ranges.
 * @returns 'unsatisfiable' where no byte lies in it
 * @see RFC 9110 §14.1.2, §14.2
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return null;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Number(last);
  if (last !== '' && end < start) return null;
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end, size - 1) };
}
