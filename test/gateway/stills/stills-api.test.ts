import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FIVE_PEOPLE, FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { photo, stored } from '../../inference/image/pictures.ts';
import { createStillApp, type StillApp } from './still-app.ts';
import { portrait } from './still-photos.ts';

const folder = temporaryFolder();
/** The detector that every machine has, which gives no landmarks of its own. */
const models = { cacheDir: join(folder, 'cache'), detector: 'ssd-mobilenet-v1' };
const UNIT_DIGITS = 5;

let app: StillApp;
let group: Buffer;
let woman: Buffer;
let sameWoman: Buffer;
let another: Buffer;
let stranger: Buffer;
let nobody: Buffer;

beforeAll(async () => {
  app = await createStillApp({ models });
  group = await photo(960).jpeg({ quality: 92 }).toBuffer();
  woman = await portrait(FIVE_PEOPLE, 3).jpeg({ quality: 95 }).toBuffer();
  sameWoman = await portrait(FIVE_PEOPLE, 3, 400).modulate({ brightness: 1.1 }).flop().webp({ quality: 90 }).toBuffer();
  another = await portrait(FIVE_PEOPLE, 4).png().toBuffer();
  stranger = await portrait(FOUR_PEOPLE, 1).jpeg().toBuffer();
  nobody = await sharp({ create: { width: 320, height: 240, channels: 3, background: '#7a8' } })
    .png()
    .toBuffer();
});
afterAll(() => app?.close());

describe('detect', () => {
  const numbers = (count: number) => Array.from({ length: count }, () => expect.any(Number));
  const face = {
    box: numbers(4),
    score: expect.any(Number),
    landmarks: Array.from({ length: 5 }, () => numbers(2)),
  };

  test('gives the contract’s answer to a form, and the same to base64 in JSON', async () => {
    const { status, headers, body } = await app.post('detect', { image: group });
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      ...{ width: 960, height: 699, model: 'ssd-mobilenet-v1', tookMs: expect.any(Number) },
      faces: Array.from({ length: 5 }, () => face),
    });
    for (const { box, score, landmarks } of body.faces) {
      expect(score).toBeLessThanOrEqual(1);
      const [x, y, w, h] = box;
      for (const [px, py] of landmarks) {
        expect([px > x - w / 2, px < x + 1.5 * w, py > y - h / 2, py < y + 1.5 * h]).not.toContain(false);
      }
    }
    const base64 = group.toString('base64');
    const lines = base64.replace(/.{76}/g, '$&\r\n');
    for (const image of [base64, `data:image/jpeg;base64,${base64}`, group.toString('base64url'), lines]) {
      const again = await app.postJson('detect', { image });
      expect(again.body).toEqual({ ...body, tookMs: expect.any(Number) });
    }
  });

  test.each(['jpeg', 'png', 'webp'] as const)('takes %s, turned as its Exif data asks', async (format) => {
    const { status, body } = await app.post('detect', { image: await stored(format, 6, 640) });
    expect([status, body.width, body.height]).toEqual([200, 640, 466]);
    expect(body.faces).toHaveLength(5);
  });

  test('a picture of nobody has no faces', async () => {
    const { status, body } = await app.post('detect', { image: nobody });
    expect([status, body.faces]).toEqual([200, []]);
  });

  test('a batch answers each by its place, the bad ones by their error', async () => {
    const images = [group, Buffer.from('no picture'), nobody, group.subarray(0, 5000)];
    for (const field of ['images[]', 'images']) {
      const { status, body } = await app.post('detect-batch', { [field]: images });
      expect(status).toBe(200);
      expect(body.results).toMatchObject([
        { index: 0, width: 960, model: 'ssd-mobilenet-v1' },
        {
          index: 1,
          error: { code: 'unsupported-media-type', message: 'images[1]: it is no JPEG, PNG or WebP picture' },
        },
        { index: 2, faces: [] },
        { index: 3, error: { code: 'bad-image', message: 'images[3]: it is cut off' } },
      ]);
      expect(body.results[0].faces).toHaveLength(5);
      expect(body.results[1].error.requestId).toEqual(expect.any(String));
    }
  });
});

describe('embed', () => {
  test('gives each face’s embedding', async () => {
    const { status, body } = await app.post('embed', { image: group });
    expect(status).toBe(200);
    expect(body).toMatchObject({ model: 'face-recogniser', detector: 'ssd-mobilenet-v1', width: 960, height: 699 });
    expect(body.faces).toHaveLength(5);
    for (const { box, score, embedding, dimension, quality } of body.faces) {
      expect(box).toHaveLength(4);
      expect(score).toBeGreaterThan(0.5);
      expect(quality).toBeGreaterThan(0);
      expect([dimension, embedding.length]).toEqual([128, 128]);
      expect(Math.hypot(...embedding)).toBeCloseTo(1, UNIT_DIGITS);
    }
  });

  test('embeddings never reach the log', async () => {
    await app.post('embed', { image: group });
    expect(app.logged.join('')).not.toMatch(/embedding|0\.\d{6}/);
  });
});

describe('analyze', () => {
  test('guesses age, gender and expression', async () => {
    const { status, body } = await app.post('analyze', { image: woman });
    expect(status).toBe(200);
    expect(body.faces).toHaveLength(1);
    const [{ box, age, gender, expression }] = body.faces;
    expect(box).toHaveLength(4);
    expect(age).toBeGreaterThan(15);
    expect(age).toBeLessThan(60);
    expect(gender).toEqual({ label: 'female', confidence: expect.any(Number) });
    expect(expression.all[expression.label]).toBe(expression.confidence);
    expect(Object.keys(expression.all).toSorted()).toEqual(
      ['angry', 'disgusted', 'fearful', 'happy', 'neutral', 'sad', 'surprised'].toSorted(),
    );
  });
});

describe('compare', () => {
  test('one with one', async () => {
    const { status, body } = await app.post('compare', { a: woman, 'b[]': sameWoman });
    expect(status).toBe(200);
    expect(body.similarity).toHaveLength(1);
    expect(body.same).toEqual([true]);
    expect(body.threshold).toBe(0.9125);
    expect(body.similarity[0]).toBeGreaterThanOrEqual(body.threshold);
  });

  test('one with many, in JSON as well, in their order', async () => {
    const b = [another, sameWoman, stranger];
    const { status, body } = await app.post('compare', { a: woman, b });
    expect(status).toBe(200);
    expect(body.same).toEqual([false, true, false]);
    expect(body.same).toEqual(body.similarity.map((value: number) => value >= body.threshold));
    const json = { a: woman.toString('base64'), b: b.map((file) => file.toString('base64')) };
    expect((await app.postJson('compare', json)).body).toEqual(body);
  });

  test('each with each', async () => {
    const { status, body } = await app.post('compare?matrix=true', { 'images[]': [woman, sameWoman, stranger] });
    expect(status).toBe(200);
    const { matrix } = body;
    expect(matrix).toHaveLength(3);
    for (const [i, row] of matrix.entries()) {
      expect(row).toHaveLength(3);
      expect(row[i]).toBeCloseTo(1, UNIT_DIGITS);
      for (const [j, value] of row.entries()) expect(value).toBe(matrix[j][i]);
    }
    expect(matrix[0][1]).toBeGreaterThan(body.threshold);
    expect(matrix[0][2]).toBeLessThan(body.threshold);
  });

  test('of a picture with several faces the largest counts, and the answer tells which', async () => {
    const background = await portrait(FOUR_PEOPLE, 1, 200).png().toBuffer();
    const both = await sharp(woman)
      .resize(640)
      .extend({ right: 240, background: '#808080' })
      .composite([{ input: background, left: 660, top: 60 }])
      .jpeg({ quality: 95 })
      .toBuffer();
    expect((await app.post('detect', { image: both })).body.faces).toHaveLength(2);
    const { body } = await app.post('compare', { a: both, b: [woman, stranger] });
    expect(body.same).toEqual([true, false]);
    expect(body.a.box[0] + body.a.box[2]).toBeLessThan(640);
    expect(body.b).toHaveLength(2);
  });

  test.each([
    ['a', () => ({ a: nobody, b: [woman] }), 'a: there is no face in it'],
    ['one of many', () => ({ a: woman, b: [sameWoman, nobody] }), 'b[1]: there is no face in it'],
  ])('without a face in %s is refused, naming it', async (_, fields, message) => {
    const { status, body } = await app.post('compare', fields());
    expect(status).toBe(422);
    expect(body.error).toEqual({ code: 'no-face', message, requestId: expect.any(String) });
  });

  test('a matrix with nobody in one picture is refused, naming it', async () => {
    const { status, body } = await app.post('compare?matrix=true', { images: [woman, nobody] });
    expect([status, body.error.message]).toEqual([422, 'images[1]: there is no face in it']);
  });
});

describe('what was found', () => {
  test('is found once, whatever else is asked of the picture', async () => {
    const image = await photo(700).jpeg().toBuffer();
    const { hits } = app.gateway.stills.stats;
    expect((await app.post('detect', { image })).headers.get('x-cache')).toBe('miss');
    expect((await app.post('detect', { image })).headers.get('x-cache')).toBe('hit');
    expect((await app.post('embed', { image })).headers.get('x-cache')).toBe('miss');
    const embedded = await app.post('embed', { image });
    expect(embedded.headers.get('x-cache')).toBe('hit');
    expect(app.gateway.stills.stats.hits).toBe(hits + 2);
    expect((await app.post('detect-batch', { images: [image, image] })).headers.get('x-cache')).toBe('hit');
    expect((await app.post('compare', { a: image, b: [image] })).headers.get('x-cache')).toBe('hit');
    expect(
      (await app.post('compare', { a: image, b: [stranger, group, another] })).headers.get('x-cache'),
    ).toBeTruthy();
  });

  test('is forgotten with the picture', async () => {
    const image = await photo(500).jpeg().toBuffer();
    await app.post('detect', { image });
    await app.post('embed', { image });
    const before = await app.kept();
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', image)).toString('hex');
    await app.gateway.stills.forget(digest);
    expect(await app.kept()).toHaveLength(before.length - 2);
    expect((await app.post('embed', { image })).headers.get('x-cache')).toBe('miss');
  });

  test('is not kept where nothing is to be kept', async () => {
    const forgetful = await createStillApp({ models, keptMs: 0 });
    try {
      for (let i = 0; i < 2; i++) {
        expect((await forgetful.post('detect', { image: nobody })).headers.get('x-cache')).toBe('miss');
      }
      expect(await forgetful.kept()).toEqual([]);
    } finally {
      await forgetful.close();
    }
  });
});

describe('who may ask', () => {
  const ROUTES = ['detect', 'detect-batch', 'embed', 'compare', 'analyze'];

  test.each(ROUTES)('%s is for nobody who may only watch', async (route) => {
    const headers = { authorization: `Bearer ${await app.playToken()}` };
    const { status, body } = await app.post(route, { image: woman }, headers);
    expect([status, body.error.code]).toEqual([403, 'forbidden']);
  });

  test.each(ROUTES)('%s asks for a credential where it can be reached from elsewhere', async (route) => {
    const elsewhere = await createStillApp({ models, bind: '0.0.0.0' });
    try {
      const { status } = await elsewhere.post(route, { image: woman });
      expect(status).toBe(401);
    } finally {
      await elsewhere.close();
    }
  });
});
