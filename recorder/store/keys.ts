import { RecorderError } from '../errors.ts';

/** What an object is, which is the first part of its key: a bucket's lifecycle rules go by it. */
export const AREAS = ['original', 'processed', 'recordings', 'thumbnails', 'temp'] as const;
export type Area = (typeof AREAS)[number];

/** Keys are short enough for S3 (1024 bytes) and their parts for any file system, with what a store adds to them. */
const MAX_KEY_LENGTH = 512;
const MAX_PARTS = 8;
/** No part begins with a dot or a dash; none can be `.` or `..`. Nothing in it needs escaping in an address. */
const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;

/**
 * The key of an object, e.g. `original/OWNER/VIDEO`, `recordings/STREAM/RECORDING/segment-7.m4s`.
 * @param parts two or more of letters, digits, `.`, `_` and `-`, 100 at most each
 * @throws RecorderError 'bad-key'
 */
export function objectKey(area: Area, ...parts: readonly string[]): string {
  return checkKey([area, ...parts].join('/'));
}

/**
 * What the keys of one owner, video or recording begin with, for `list` and `deletePrefix`.
 * @param parts one or more; the prefix ends with a slash, so that it never takes along a neighbour
 * @throws RecorderError 'bad-key'
 */
export function keyPrefix(area: Area, ...parts: readonly string[]): string {
  return checkPrefix(`${[area, ...parts].join('/')}/`);
}

/**
 * @returns the key
 * @throws RecorderError 'bad-key' for what `objectKey` would not make
 */
export function checkKey(key: string): string {
  if (!isKey(key, 3)) throw new RecorderError('bad-key', 'this is no key of an object');
  return key;
}

/**
 * @returns the prefix
 * @throws RecorderError 'bad-key' for what `keyPrefix` would not make
 */
export function checkPrefix(prefix: string): string {
  if (!prefix.endsWith('/') || !isKey(prefix.slice(0, -1), 2)) {
    throw new RecorderError('bad-key', 'this is no prefix of keys; it names an area and an owner, and ends with /');
  }
  return prefix;
}

function isKey(text: string, leastParts: number): boolean {
  if (text.length > MAX_KEY_LENGTH) return false;
  const parts = text.split('/', MAX_PARTS + 1);
  return (
    parts.length >= leastParts &&
    parts.length <= MAX_PARTS &&
    (AREAS as readonly string[]).includes(parts[0]!) &&
    parts.every((part) => PART.test(part))
  );
}
