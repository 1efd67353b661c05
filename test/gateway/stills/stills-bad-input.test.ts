import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { childrenOf, hasProc, isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { photo } from '../../inference/image/pictures.ts';
import { recogniserEntry, recogniserGraph, type Twist } from '../../inference/recognise/recogniser-graph.ts';
import { createStillApp, type StillApp } from './still-app.ts';
import { crowd } from './still-photos.ts';

const folder = temporaryFolder();
const models = { cacheDir: join(folder, 'cache'), detector: 'ssd-mobilenet-v1' };
/** A bomb is refused by its header. To decode it takes minutes, and 2.5 GB where it were tried. */
const MAX_REFUSAL_MS = 5000;

let app: StillApp;
let good: Buffer;
beforeAll(async () => {
  app = await createStillApp({ models });
  good = await photo(640).jpeg().toBuffer();
});
afterAll(() => app?.close());

/** After each: the service is up. */
afterEach(async () => {
  const { status, body } = await app.post('detect', { image: good });
  expect([status, body.faces.length]).toEqual([200, 5]);
});

function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const named = Buffer.concat([Buffer.from(type), data]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, crc]);
}

/** 2.5 thousand million pixels of one colour, whole and without a fault, in 40 kB and less. */
function bombPng(): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(50_000, 0);
  header.writeUInt32BE(50_000, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc(6251 * 5000));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

async function animated(format: 'webp' | 'gif'): Promise<Buffer> {
  const { data, info } = await photo(64).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const frames = Buffer.concat([data, data.map((value) => 255 - value)]);
  const raw = { width: 64, height: 2 * info.height, channels: 3 as const, pageHeight: info.height };
  return sharp(frames, { raw })
    .toFormat(format, { loop: 0, delay: [100, 100] })
    .toBuffer();
}

async function animatedPng(): Promise<Buffer> {
  const png = await photo(64).png().toBuffer();
  return Buffer.concat([png.subarray(0, 33), chunk('acTL', Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])), png.subarray(33)]);
}

async function corrupt(): Promise<Buffer> {
  const png = await photo(320).png().toBuffer();
  return png.fill(0xaa, 200, png.length - 100);
}

const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd" width="9" height="9"/></svg>';

const BAD: [string, () => Buffer | Promise<Buffer>, number, string][] = [
  ['nothing', () => Buffer.alloc(0), 400, 'bad-image'],
  ['a corrupt PNG', corrupt, 400, 'bad-image'],
  ['a JPEG cut off', () => good.subarray(0, good.length >> 1), 400, 'bad-image'],
  ['a WebP cut off', async () => (await photo(320).webp().toBuffer()).subarray(0, 3000), 400, 'bad-image'],
  ['a JPEG of three bytes', () => Buffer.from('ffd8ff', 'hex'), 400, 'bad-image'],
  ['a decompression bomb', bombPng, 413, 'image-too-large'],
  ['too many bytes', () => Buffer.concat([good, Buffer.alloc(25_000_001 - good.length)]), 413, 'image-too-large'],
  ['an animated WebP', () => animated('webp'), 422, 'unprocessable'],
  ['an animated PNG', animatedPng, 422, 'unprocessable'],
  ['an animated GIF', () => animated('gif'), 415, 'unsupported-media-type'],
  ['a zip', () => Buffer.from('504b030414000000', 'hex'), 415, 'unsupported-media-type'],
  ['an SVG', () => Buffer.from(SVG), 415, 'unsupported-media-type'],
  ['HTML', () => Buffer.from('<!doctype html><img src=x onerror=alert(1)>'), 415, 'unsupported-media-type'],
  ['a TIFF', () => photo(64).tiff().toBuffer(), 415, 'unsupported-media-type'],
];

describe.each(BAD)('%s', (_, make, status, code) => {
  test.each(['detect', 'embed', 'analyze'])('is refused by %s with the contract’s error', async (route) => {
    const image = await make();
    const keptBefore = await app.kept();
    const started = performance.now();
    const answer = await app.post(route, { image });
    expect(performance.now() - started).toBeLessThan(MAX_REFUSAL_MS);
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body).toEqual({
      error: { code, message: expect.stringMatching(/^image: [^\n/]+$/), requestId: expect.any(String) },
    });
    expect(await app.kept()).toEqual(keptBefore);
  });

  test('is named by compare', async () => {
    const keptBefore = await app.kept();
    const answer = await app.post('compare', { a: good, b: [good, await make()] });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body.error.message).toMatch(/^b\[1\]: /);
    // What is bad by its first bytes is refused before the others are looked at.
    if (code !== 'bad-image') expect(await app.kept()).toEqual(keptBefore);
  });
});

test.each([
  ['CMYK JPEG', () => photo(640).toColourspace('cmyk').jpeg()],
  ['16-bit PNG', () => photo(640).toColourspace('rgb16').png()],
  ['16-bit grey PNG', () => photo(640).grayscale().toColourspace('grey16').png()],
  ['grey JPEG', () => photo(640).grayscale().jpeg()],
  ['PNG with alpha', () => photo(640).ensureAlpha(0.5).png()],
  ['PNG of a palette', () => photo(640).png({ palette: true })],
  ['WebP with alpha', () => photo(640).ensureAlpha(0.5).webp()],
  ['progressive JPEG, 4:4:4', () => photo(640).jpeg({ progressive: true, chromaSubsampling: '4:4:4' })],
])('%s is looked at as what it shows', async (_, make) => {
  const image = await make().toBuffer();
  expect((await app.post('detect', { image })).body.faces).toHaveLength(5);
  const embedded = await app.post('embed', { image });
  expect(embedded.body.faces.map((face: { dimension: number }) => face.dimension)).toEqual([128, 128, 128, 128, 128]);
  expect((await app.post('analyze', { image })).body.faces).toHaveLength(5);
});

test('forty faces are all answered', async () => {
  const image = await crowd();
  for (const route of ['detect', 'embed', 'analyze']) {
    const { status, body } = await app.post(route, { image });
    expect(status).toBe(200);
    // The detector that every machine has misses a few so small.
    expect(body.faces.length).toBeGreaterThan(30);
  }
});

describe('a form', () => {
  const header = { 'content-type': 'multipart/form-data; boundary=x' };
  const part = '--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n';

  test.each([
    ['without pictures', '--x--\r\n', 'image is missing: a picture, as a file or in base64'],
    ['that is empty', '', /no multipart form/],
    ['cut off', `${part}abc`, /no multipart form: it is cut off/],
    ['of endless parts', `${`${part}\r\n`.repeat(10_000)}--x--\r\n`, /more than 64 fields/],
    ['with two for one', `${part}a\r\n${part}b\r\n--x--\r\n`, 'image: send one picture'],
  ])('%s is refused', async (_, body, message) => {
    const answer = await app.send('detect', { body, headers: header });
    expect([answer.status, answer.body.error.code]).toEqual([400, 'bad-request']);
    expect(answer.body.error.message).toMatch(message);
  });

  test('with a text for a picture is refused by what it is', async () => {
    const body = '--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc\r\n--x--\r\n';
    expect((await app.send('detect', { body, headers: header })).status).toBe(415);
  });

  test('without a boundary is refused', async () => {
    const headers = { 'content-type': 'multipart/form-data' };
    const { status, body } = await app.send('detect', { body: part, headers });
    expect([status, body.error.code]).toEqual([400, 'bad-request']);
  });

  test('of more pictures than a batch holds is refused', async () => {
    const { status, body } = await app.post('detect-batch', { images: Array.from({ length: 33 }, () => good) });
    expect([status, body.error.message]).toEqual([400, 'images[] holds 33 pictures; at most 32']);
  });
});

describe('JSON', () => {
  test.each([
    ['that is none', '{"image":', 400, 'bad-request'],
    ['a list', '[]', 400, 'bad-request'],
    ['without a picture', '{}', 400, 'bad-request'],
    ['a number for a picture', '{"image":5}', 400, 'bad-request'],
    ['a list for a picture', '{"image":[5]}', 400, 'bad-request'],
    ['no base64', '{"image":"<svg>"}', 400, 'bad-request'],
    ['base64 with a stray letter', '{"image":"/9j/4!AA"}', 400, 'bad-request'],
    ['base64 cut off', '{"image":"/9j/4"}', 400, 'bad-request'],
    ['an empty picture', '{"image":""}', 400, 'bad-image'],
    ['text in base64', '{"image":"aGVsbG8="}', 415, 'unsupported-media-type'],
    ['a prototype', '{"__proto__":{"image":"aGVsbG8="}}', 400, 'bad-request'],
  ])('%s is refused', async (_, body, status, code) => {
    const answer = await app.send('detect', { body, headers: { 'content-type': 'application/json' } });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body.error.message).not.toContain('\n');
  });
});

test('JSON larger than the largest picture in base64 is refused', async () => {
  const headers = { 'content-type': 'Application/JSON; charset=utf-8', 'content-length': '34000001' };
  const { status, body } = await app.send('detect', { body: '{}', headers });
  expect([status, body.error.code]).toEqual([413, 'body-too-large']);
});

test.each([undefined, 'image/jpeg', 'text/plain', 'application/x-www-form-urlencoded'])(
  'a body that is called %s is refused',
  async (type) => {
    const { status, body } = await app.send('detect', {
      body: good as Buffer<ArrayBuffer>,
      headers: type === undefined ? {} : { 'content-type': type },
    });
    expect([status, body.error.code]).toEqual([415, 'unsupported-media-type']);
  },
);

describe('a recogniser that fails', () => {
  const SIDE = 112;

  /** A folder with a recogniser of a user's own. */
  function brought(name: string, twist: Twist): { modelsDir: string; recogniser: string } {
    const signature = {
      family: 'arcface' as const,
      input: {
        ...{ mean: [0, 0, 0] as [number, number, number], scale: 1, layout: 'NCHW' as const, channels: 'RGB' as const },
        size: { width: SIDE, height: SIDE },
      },
      dimension: 256,
    };
    const model = recogniserGraph(signature, twist);
    const entry = recogniserEntry(signature, model);
    const modelsDir = join(folder, name);
    mkdirSync(modelsDir);
    writeFileSync(join(modelsDir, entry.file), model);
    writeFileSync(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [entry] }));
    return { modelsDir, recogniser: entry.name };
  }

  test.each([
    ['gives what is no number', { onBright: Number.NaN }, 500, 'internal'],
    ['gives what is endless', { onBright: Number.POSITIVE_INFINITY }, 500, 'internal'],
    ['has another dimension than its entry says', { dimension: 64 }, 503, 'not-ready'],
  ] as [string, Twist, number, string][])(
    'as it %s is told, and nothing is kept',
    async (name, twist, status, code) => {
      const failing = await createStillApp({ models: { ...models, ...brought(name, twist) } });
      try {
        for (const [route, fields] of [
          ['embed', { image: good }],
          ['compare', { a: good, b: [good] }],
        ] as const) {
          const answer = await failing.post(route, fields);
          expect([answer.status, answer.body.error.code]).toEqual([status, code]);
          expect(answer.body.error.message).not.toContain(folder);
          if (status === 503) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
        }
        expect(await failing.kept()).toEqual([]);
        expect((await failing.post('detect', { image: good })).body.faces).toHaveLength(5);
      } finally {
        await failing.close();
      }
    },
  );

  test('as it is not there is told without its path', async () => {
    const failing = await createStillApp({ models: { ...models, recogniser: 'none-such' } });
    try {
      const { status, body } = await failing.post('embed', { image: good });
      expect([status, body.error.code]).toEqual([503, 'not-ready']);
      expect(body.error.message).not.toMatch(/none-such|\//);
    } finally {
      await failing.close();
    }
  });
});

test.skipIf(!hasProc)('a process that dies over a picture is told, and the next picture has a new one', async () => {
  const image = await photo(1900).png().toBuffer();
  const answering = app.post('analyze', { image });
  await new Promise((resolve) => setTimeout(resolve, 30));
  for (const id of childrenOf(process.pid, 'image-process').filter(isAlive)) process.kill(id, 'SIGKILL');
  const { status, body } = await answering;
  expect([status, body.error.code]).toEqual([500, 'internal']);
  expect((await app.post('analyze', { image })).status).toBe(200);
});
