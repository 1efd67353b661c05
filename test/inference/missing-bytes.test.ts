import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missingBytes } from '../../inference/media/missing-bytes.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

const path = join(temporaryFolder(), 'file');

async function missing(...parts: readonly Buffer[]): Promise<number | null> {
  const bytes = Buffer.concat(parts);
  writeFileSync(path, bytes);
  const file = await open(path);
  try {
    return await missingBytes(file, bytes.length);
  } finally {
    await file.close();
  }
}

function box(type: string, held: number, said = held + 8): Buffer {
  const bytes = Buffer.alloc(8 + held);
  bytes.writeUInt32BE(said);
  bytes.write(type, 4, 'latin1');
  return bytes;
}

function largeBox(type: string, held: number, said: number): Buffer {
  const bytes = box(type, held + 8, 1);
  bytes.writeBigUInt64BE(BigInt(said), 8);
  return bytes;
}

describe('MP4', () => {
  test.each<[string, number | null, Buffer[]]>([
    ['a whole file', 0, [box('ftyp', 16), box('moov', 100), box('mdat', 500)]],
    ['one cut off in its pictures', 300, [box('ftyp', 16), box('moov', 100), box('mdat', 200, 508)]],
    ['one cut off in its index', 60, [box('ftyp', 16), box('mdat', 500), box('moov', 40, 108)]],
    ['one cut off in a fragment', 7, [box('ftyp', 16), box('moov', 90), box('moof', 50), box('mdat', 43, 58)]],
    ['one of a 64-bit size', 9000, [box('ftyp', 16), largeBox('mdat', 984, 10_000)]],
    ['one whose last box goes to its end', 0, [box('ftyp', 16), box('moov', 90), box('mdat', 500, 0)]],
    ['one with a camera’s own data behind it', 0, [box('ftyp', 16), box('moov', 90), Buffer.from('SEFT of some kind')]],
    ['one with a little rubbish behind it', 0, [box('ftyp', 16), box('moov', 90), Buffer.from('abc')]],
    ['a box too small to be one', 0, [box('ftyp', 16), box('mdat', 40, 3)]],
  ])('%s', async (_, expected, parts) => {
    expect(await missing(...parts)).toBe(expected);
  });
});

describe('Matroska', () => {
  const header = Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x84, 1, 2, 3, 4]);
  const segment = (size: readonly number[], held: number) =>
    Buffer.concat([Buffer.from([0x18, 0x53, 0x80, 0x67, ...size]), Buffer.alloc(held)]);

  test.each<[string, number | null, Buffer[]]>([
    ['a whole file', 0, [header, segment([0x41, 0x00], 256)]],
    ['one cut off', 56, [header, segment([0x41, 0x00], 200)]],
    ['one with a size of eight bytes', 65_536 - 100, [header, segment([1, 0, 0, 0, 0, 1, 0, 0], 100)]],
    ['a live recording, whose size is not known', null, [header, segment([1, 255, 255, 255, 255, 255, 255, 255], 200)]],
    ['one whose segment is not where it should be', null, [header, Buffer.alloc(100)]],
    ['one cut off in its header', null, [header.subarray(0, 6), Buffer.alloc(10)]],
  ])('%s', async (_, expected, parts) => {
    expect(await missing(...parts)).toBe(expected);
  });
});

test.each([
  ['text', Buffer.from('no video at all, but long enough to be looked at')],
  ['a few bytes', Buffer.from('abc')],
  ['zeros', Buffer.alloc(4096)],
])('of %s nothing is said', async (_, bytes) => {
  expect(await missing(bytes)).toBeNull();
});
