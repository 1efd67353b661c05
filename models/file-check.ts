import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ModelError } from './errors.ts';

/** What a file must be. */
export interface FileDigest {
  /** Size of the file. */
  bytes: number;
  /** 64 lower-case hex digits. */
  sha256: string;
}

/**
 * Refuses bytes that are not the ones expected.
 * @param where the file or address they came from, for the message
 * @param remedy what the reader of the message should do, a sentence without its full stop
 * @throws ModelError 'truncated' when there are too few bytes | 'checksum-mismatch'
 */
export function checkBytes(bytes: Uint8Array, expected: FileDigest, where: string, remedy: string): void {
  if (bytes.length < expected.bytes) {
    const sizes = `${bytes.length} bytes, expected ${expected.bytes}`;
    throw new ModelError('truncated', `${where} is truncated: found ${sizes}. ${remedy}.`);
  }
  const found = hash('sha256', bytes, 'hex');
  if (found !== expected.sha256) {
    const sums = `found ${found} (${bytes.length} bytes), expected ${expected.sha256} (${expected.bytes} bytes)`;
    throw new ModelError('checksum-mismatch', `${where} has a wrong sha256: ${sums}. ${remedy}.`);
  }
}

/**
 * Reads a file whole and checks it.
 * @returns undefined when there is no such file
 * @throws ModelError 'truncated' | 'checksum-mismatch' | 'unreadable'
 */
export async function readChecked(path: string, expected: FileDigest, remedy: string): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new ModelError('unreadable', `${path} cannot be read (${code}). ${remedy}.`, { cause });
  }
  checkBytes(bytes, expected, path, remedy);
  return bytes;
}
