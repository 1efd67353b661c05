import { expect, test } from 'vitest';
import { checkKey, checkPrefix, keyPrefix, objectKey } from '../../../recorder/store/keys.ts';

test('keys are an area, an owner and what is the owner’s', () => {
  expect(objectKey('original', 'local', '0197-ab')).toBe('original/local/0197-ab');
  expect(objectKey('recordings', 'Stage-1', 'r1', 'segment-00012.m4s')).toBe('recordings/Stage-1/r1/segment-00012.m4s');
  expect(keyPrefix('recordings', 'Stage-1')).toBe('recordings/Stage-1/');
});

test.each([
  [],
  ['owner'],
  ['owner', ''],
  ['owner', '.'],
  ['owner', '..'],
  ['owner', '.hidden'],
  ['owner', '-rf'],
  ['owner', 'a/b/../../..'],
  ['owner', 'a\\b'],
  ['owner', 'a b'],
  ['owner', 'a%2fb'],
  ['owner', 'a@meta'],
  ['owner', 'a\0'],
  ['owner', 'a\n'],
  ['owner', 'ä'],
  ['owner', 'x'.repeat(101)],
  ['owner', ...Array.from({ length: 7 }, () => 'a')],
  ['owner', ...Array.from({ length: 6 }, () => 'x'.repeat(90))],
])('no key is made of %j', (...parts) => {
  expect(() => objectKey('temp', ...parts)).toThrow(expect.objectContaining({ code: 'bad-key' }));
});

test('a key that came from elsewhere is looked at again', () => {
  expect(checkKey('thumbnails/local/face-1.jpg')).toBe('thumbnails/local/face-1.jpg');
  for (const key of [
    '',
    'thumbnails',
    'thumbnails/a',
    'secrets/a/b',
    '/thumbnails/a/b',
    'thumbnails/a/b/',
    'Temp/a/b',
  ]) {
    expect(() => checkKey(key), key).toThrow(expect.objectContaining({ code: 'bad-key' }));
  }
});

test('a prefix names an owner at least, and whole parts', () => {
  expect(checkPrefix('temp/a/')).toBe('temp/a/');
  for (const prefix of ['', '/', 'temp/', 'temp/a', 'temp//', 'temp/../', 'temp/a/../b/']) {
    expect(() => checkPrefix(prefix), prefix).toThrow(expect.objectContaining({ code: 'bad-key' }));
  }
});
