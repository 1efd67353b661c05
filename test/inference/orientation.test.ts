import { expect, test } from 'vitest';
import { uprightFilters } from '../../inference/media/orientation.ts';

const ONE = 1 << 16;
const matrix = (a: number, b: number, c: number, d: number) =>
  Int32Array.from([a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]);

test('no matrix, or one that turns nothing, asks for nothing', () => {
  expect(uprightFilters(null)).toEqual([]);
  expect(uprightFilters(matrix(1, 0, 0, 1))).toEqual([]);
});

// What FFmpeg's player does with the same matrices: fftools/ffmpeg_filter.c, with av_display_rotation_get().
test.each([
  ['a phone held upright', matrix(0, 1, -1, 0), ['transpose=clock']],
  ['a phone held upside down', matrix(0, -1, 1, 0), ['transpose=cclock']],
  ['half a turn', matrix(-1, 0, 0, -1), ['hflip', 'vflip']],
  ['a selfie that is mirrored', matrix(-1, 0, 0, 1), ['hflip']],
  ['a mirror below', matrix(1, 0, 0, -1), ['vflip']],
  ['a mirrored quarter turn', matrix(0, 1, 1, 0), ['transpose=cclock_flip']],
  ['a mirrored quarter turn the other way', matrix(0, -1, -1, 0), ['transpose=clock_flip']],
])('%s is turned upright', (_, turned, filters) => {
  expect(uprightFilters(turned)).toEqual(filters);
});

test('a matrix that scales is turned all the same; one that is nothing but zeros turns nothing', () => {
  expect(uprightFilters(matrix(0, 2, -2, 0))).toEqual(['transpose=clock']);
  expect(uprightFilters(matrix(0, 0, 0, 0))).toEqual([]);
  expect(uprightFilters(new Int32Array(0))).toEqual([]);
});
