import { AV_LOG_QUIET, Log } from 'node-av';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { InferenceError } from '../../../inference/errors.ts';
import { decodeImage } from '../../../inference/image/decode-image.ts';
import { readImageHeader } from '../../../inference/image/image-header.ts';
import { MAX_IMAGE_BYTES } from '../../../inference/image/image-limits.ts';
import { seededRandom } from '../../clips/picture.ts';
import { FORMATS, type Format, meanDifference, photo, rgbOf, stored } from './pictures.ts';

/** Lossy coding, and chroma of half the resolution scaled back in two ways: seen up to 3.5. A wrong turn gives 30. */
const MAX_MEAN_DIFFERENCE = 6;
/** Inks to light without a colour profile: seen 18. */
const MAX_CMYK_DIFFERENCE = 30;
const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8];

beforeAll(() => Log.setLevel(AV_LOG_QUIET));

async function rgbBySharp(file: Buffer): Promise<Buffer> {
  return sharp(file).rotate().toColourspace('srgb').removeAlpha().raw().toBuffer();
}

describe.each(FORMATS)('%s', (format) => {
  test.each(ORIENTATIONS)('stored in Exif’s way %i is turned upright', async (orientation) => {
    const file = await stored(format, orientation);
    expect(readImageHeader(file)).toMatchObject({ format, orientation, isAnimated: false, isWhole: true });
    const { width, height, data } = rgbOf(decodeImage(file));
    expect([width, height]).toEqual([240, 175]);
    const upright = await photo().removeAlpha().raw().toBuffer();
    expect(meanDifference(data, upright)).toBeLessThan(MAX_MEAN_DIFFERENCE);
  });

  test('cut off anywhere is refused, and never taken for whole', async () => {
    const file = await stored(format, 6, 64);
    for (let length = 0; length < file.length; length += length < 400 ? 1 : 97) {
      const code = refusalOf(file.subarray(0, length));
      expect(['input-empty', 'input-unreadable', 'input-truncated'], `${length} bytes`).toContain(code);
    }
    const half = () => decodeImage(file.subarray(0, file.length >> 1));
    expect(half).toThrow(expect.objectContaining({ code: 'input-truncated', message: 'it is cut off' }));
  });

  test('damaged at random is decoded or refused, nothing else', async () => {
    const random = seededRandom(FORMATS.indexOf(format));
    const file = await stored(format, 1, 48);
    for (let round = 0; round < 400; round++) {
      const damaged = Buffer.from(file);
      for (let i = 0; i < 1 + random() * 6; i++) {
        damaged[Math.floor(random() ** 2 * damaged.length)] = Math.floor(random() * 256);
      }
      refusalOf(damaged);
    }
  });
});

/** The code of the error with which a file is refused; null where it is decoded. Any other error fails the test. */
function refusalOf(file: Uint8Array): string | null {
  try {
    decodeImage(file).free();
    return null;
  } catch (error) {
    if (error instanceof InferenceError && !error.message.includes('\n')) return error.code;
    throw error;
  }
}

test.each([
  ['progressive, chroma in full', () => photo().jpeg({ progressive: true, chromaSubsampling: '4:4:4' })],
  ['grey JPEG', () => photo().grayscale().jpeg()],
  ['grey PNG', () => photo().grayscale().toColourspace('b-w').png()],
  ['PNG of a palette', () => photo().png({ palette: true })],
  ['PNG of 16 bits', () => photo().toColourspace('rgb16').png()],
  ['PNG with alpha', () => photo().ensureAlpha(0.5).png()],
  ['WebP with alpha', () => photo().ensureAlpha(0.5).webp()],
  ['lossless WebP', () => photo().webp({ lossless: true })],
])('%s has the colours that sharp gives it', async (_, make) => {
  const file = await make().toBuffer();
  expect(meanDifference(rgbOf(decodeImage(file)).data, await rgbBySharp(file))).toBeLessThan(MAX_MEAN_DIFFERENCE);
});

test('a JPEG of inks (CMYK) has about the colours that it should', async () => {
  const file = await photo().toColourspace('cmyk').jpeg().toBuffer();
  const upright = await photo().removeAlpha().raw().toBuffer();
  expect(meanDifference(rgbOf(decodeImage(file)).data, upright)).toBeLessThan(MAX_CMYK_DIFFERENCE);
});

test('what moves is refused', async () => {
  const page = await photo(32).raw().toBuffer({ resolveWithObject: true });
  const [width, pageHeight] = [32, page.info.height];
  const frames = Buffer.concat([page.data, page.data.map((value) => 255 - value)]);
  const raw = { width, height: 2 * pageHeight, channels: 3 as const, pageHeight };
  const webp = await sharp(frames, { raw })
    .webp({ loop: 0, delay: [100, 100] })
    .toBuffer();
  // An animated PNG is a PNG with a chunk that says so before its picture.
  const png = await photo(32).png().toBuffer();
  const apng = Buffer.concat([png.subarray(0, 33), chunk('acTL', Buffer.alloc(8, 1)), png.subarray(33)]);
  for (const file of [webp, apng]) {
    expect(readImageHeader(file).isAnimated).toBe(true);
    expect(() => decodeImage(file)).toThrow(/^it is animated; give one still picture$/);
  }
});

function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)]);
}

describe('limits hold before anything is decoded', () => {
  const MAX_REFUSAL_MS = 200;
  const IHDR = chunk('IHDR', Buffer.from('00000040000000400802000000', 'hex'));

  test.each([
    [
      'a PNG',
      'png',
      (file: Buffer) => void file.fill(0xff, 17, 20).fill(0xff, 21, 24),
      /16777215×16777215 at 8 bits is more than 100 megapixels/,
    ],
    [
      'a PNG of 16 bits',
      'png',
      (file: Buffer) => {
        file.writeUInt32BE(8000, 16);
        file.writeUInt32BE(8000, 20);
        file.writeUInt8(16, 24);
      },
      /8000×8000 at 16 bits is more than 100 megapixels at 8 bits/,
    ],
    ['a JPEG', 'jpeg', (file: Buffer) => void file.fill(0xff, frameAt(file) + 5, frameAt(file) + 9), /65535×65535/],
    [
      'a WebP',
      'webp',
      (file: Buffer) => void file.fill(0xff, file.indexOf('VP8 ') + 14, file.indexOf('VP8 ') + 18),
      /16383×16383/,
    ],
    ['a PNG of no width', 'png', (file: Buffer) => file.writeUInt32BE(0, 16), /it says that it is 0×\d+/],
  ] as [string, Format, (file: Buffer) => void, RegExp][])(
    '%s that says it is absurd',
    async (_, format, forge, message) => {
      const file = await photo(600)[format]().toBuffer();
      forge(file);
      const started = performance.now();
      expect(() => decodeImage(file)).toThrow(message);
      expect(performance.now() - started).toBeLessThan(MAX_REFUSAL_MS);
    },
  );

  test('a file of more than 50 MB', () => {
    expect(() => decodeImage(Buffer.alloc(MAX_IMAGE_BYTES + 1))).toThrow(/50000001 bytes are more than 50000000/);
  });

  test('a file in endless parts', () => {
    const header = { jpeg: 'ffd8', png: '89504e470d0a1a0a', webp: '52494646ffffff7f57454250' };
    const part = { jpeg: 'ffe20002', png: '0000000074455874000000ff', webp: '4a554e4b00000000' };
    for (const format of FORMATS) {
      const parts = Buffer.from(part[format].repeat(1_000_000), 'hex');
      // A PNG's first chunk is read before the others.
      const file = Buffer.concat([
        Buffer.from(header[format], 'hex'),
        format === 'png' ? IHDR : Buffer.alloc(0),
        parts,
      ]);
      const started = performance.now();
      expect(() => readImageHeader(file)).toThrow('it is in more than 100000 parts');
      expect(performance.now() - started).toBeLessThan(MAX_REFUSAL_MS);
    }
  });

  test('a JPEG whose second header tells of a larger picture than its first', async () => {
    const file = await photo(600).jpeg().toBuffer();
    const at = frameAt(file);
    const small = Buffer.from(file.subarray(at, at + 2 + file.readUInt16BE(at + 2)));
    small.writeUInt16BE(8, 5);
    small.writeUInt16BE(8, 7);
    const forged = Buffer.concat([file.subarray(0, at), small, file.subarray(at)]);
    expect(readImageHeader(forged)).toMatchObject({ width: 8, height: 8 });
    expect(refusalOf(forged)).toBe('input-unreadable');
  });
});

/** Where a JPEG's start of frame is. */
function frameAt(file: Buffer): number {
  const at = [0xc0, 0xc2].map((marker) => file.indexOf(Buffer.from([0xff, marker]))).filter((index) => index >= 0);
  return Math.min(...at);
}

test.each([
  ['nothing', ''],
  ['text', 'this is no picture, although it is called one'],
  ['a GIF', 'GIF89a\x01\x00\x01\x00\x00\x00\x00;'],
  ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
  ['a JPEG of no segments', '\xff\xd8\xff\xd9'],
])('%s is refused by what it is', (_, text) => {
  expect(refusalOf(Buffer.from(text, 'latin1'))).toMatch(/^input-(empty|unreadable|truncated)$/);
});
