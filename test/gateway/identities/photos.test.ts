import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { wantedModels } from '../../../gateway/cli/wanted-models.ts';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import { similarity } from '../../../inference/recognise/similarity.ts';
import { defaultModelLocations } from '../../../models/locations.ts';
import { FIVE_PEOPLE, FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { createLiveApp, type LiveApp } from '../live/live-app.ts';
import { enrolmentForm, postForm } from './enrol.ts';
import { portrait } from './portraits.ts';

const LABELLED = join(import.meta.dirname, '../../../../shared/testdata/identity');
/** A real engine answers within seconds; the first picture waits for its models. */
const LIMIT_MS = 60_000;

const models = defaultModelLocations({});
let engine: ImageEngine;
let live: LiveApp;
let face: Buffer;

beforeAll(async () => {
  engine = new ImageEngine(models);
  face = await portrait(FIVE_PEOPLE, 0);
});
afterAll(() => engine?.close());
beforeEach(async () => {
  live = await createLiveApp({ identities: { images: engine, recogniser: wantedModels(models).recogniser } });
});

const enrol = (...photos: Uint8Array[]) => postForm(live, enrolmentForm('Someone', photos));
const codesOf = (body: { details: { index: number; code: string }[] }) =>
  body.details.map(({ index, code }) => [index, code]);

/** A PNG of few bytes that says it is this large. */
async function pngOfSize(width: number, height: number): Promise<Buffer> {
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'grey' } })
    .png()
    .toBuffer();
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  return png;
}

/** `count` of the five people's faces, side by side. */
async function crowd(count: number): Promise<Buffer> {
  const side = 120;
  const faces = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const input = await sharp(await portrait(FIVE_PEOPLE, i % 5))
        .resize(side, side)
        .png()
        .toBuffer();
      return { input, left: (i % 8) * side, top: Math.floor(i / 8) * side };
    }),
  );
  const height = Math.ceil(count / 8) * side;
  return sharp({ create: { width: 8 * side, height, channels: 3, background: 'grey' } })
    .composite(faces)
    .jpeg()
    .toBuffer();
}

describe('a person enrolled from real photos', () => {
  test(
    'as JPEG, PNG or WebP, turned by Exif, grey, with transparency, in 16 bits or CMYK is the same person, and not another',
    async () => {
      const turned = await sharp(face).rotate(-90).withExif({}).jpeg().withMetadata({ orientation: 6 }).toBuffer();
      const photos = [
        face,
        await sharp(face).png().toBuffer(),
        await sharp(face).webp({ quality: 95 }).toBuffer(),
        turned,
        await sharp(face).greyscale().jpeg().toBuffer(),
        await sharp(face).ensureAlpha(1).png().toBuffer(),
        await sharp(face).toColourspace('rgb16').png().toBuffer(),
        await sharp(face).toColourspace('cmyk').jpeg().toBuffer(),
      ];
      const { status, body } = await enrol(...photos);
      expect([status, body.details]).toEqual([201, undefined]);
      const other = (await enrol(await portrait(FOUR_PEOPLE, 0))).body;
      const { embeddings } = live.identities.personOf(body.id)!;
      const { thresholds } = wantedModels(models).recogniser;
      for (const [i, embedding] of embeddings.entries()) {
        expect(similarity(embeddings[0]!, embedding), `photo ${i}`).toBeGreaterThan(thresholds.accept);
      }
      const [stranger] = live.identities.personOf(other.id)!.embeddings;
      expect(similarity(embeddings[0]!, stranger!)).toBeLessThan(thresholds.accept);
      const thumbnail = await live.app.request(`/v1/identities/${body.id}/thumbnail`);
      const { format, width, height, exif } = await sharp(await thumbnail.arrayBuffer()).metadata();
      expect([format, exif]).toEqual(['jpeg', undefined]);
      expect(Math.max(width, height)).toBeLessThanOrEqual(160);
    },
    LIMIT_MS,
  );

  test(
    'of a photo of several is told which; nothing is stored',
    async () => {
      const { status, body } = await enrol(face, readFileSync(FIVE_PEOPLE.path), await crowd(40));
      expect([status, codesOf(body)]).toEqual([
        422,
        [
          [1, 'several-faces'],
          [2, 'several-faces'],
        ],
      ]);
      expect(live.people.rows.size).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    'of photos that show too little is told why; nothing is stored',
    async () => {
      const { width } = await sharp(face).metadata();
      const photos = [
        await sharp({ create: { width: 640, height: 480, channels: 3, background: 'grey' } })
          .jpeg()
          .toBuffer(),
        await sharp(face)
          .resize(Math.round((width * 24) / FIVE_PEOPLE.boxes[0]![2]))
          .jpeg()
          .toBuffer(),
        await sharp(face).blur(14).jpeg().toBuffer(),
      ];
      const { status, body } = await enrol(...photos);
      expect([status, codesOf(body)[0]]).toEqual([422, [0, 'no-face']]);
      expect(['too-small', 'no-face']).toContain(body.details[1].code);
      expect(['too-blurred', 'no-face']).toContain(body.details[2].code);
      expect(live.people.rows.size).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    'of what is no still picture is told so, whatever it is called; nothing is stored and the next is taken',
    async () => {
      const frames = Buffer.alloc(3 * 16 * 32, 128).fill(30, 3 * 16 * 16);
      const animated = sharp(frames, { raw: { width: 16, height: 32, channels: 3, pageHeight: 16 } });
      const photos = [
        Buffer.alloc(0),
        face.subarray(0, face.length / 2),
        Buffer.concat([face.subarray(0, 200), Buffer.alloc(5000, 0xa5)]),
        await pngOfSize(50_000, 50_000),
        await animated.webp({ loop: 0, delay: [100, 100] }).toBuffer(),
        await animated.gif({ loop: 0, delay: [100, 100] }).toBuffer(),
        Buffer.from('PK\u0003\u0004 a zip called .jpg'),
        Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>'),
        Buffer.from('<!doctype html><img src=x onerror=alert(1)>'),
      ];
      const { status, body } = await enrol(...photos);
      expect([status, codesOf(body)]).toEqual([422, photos.map((_, i) => [i, 'not-an-image'])]);
      for (const { message } of body.details) expect(message).toMatch(/^[^\n/]{3,200}$/);
      expect(live.people.rows.size).toBe(0);
      expect((await enrol(face)).status).toBe(201);
    },
    LIMIT_MS,
  );
});

describe.skipIf(!existsSync(LABELLED))('labelled people (../shared/testdata)', () => {
  test(
    'are enrolled from their photos, all but those that show somebody else as near',
    async () => {
      const people = ['Ariel_Sharon', 'Joe_Biden', 'Vladimir_Putin'];
      const refused: string[] = [];
      for (const person of people) {
        const files = readdirSync(join(LABELLED, person)).slice(0, 20);
        const { body } = await enrol(...files.map((file) => readFileSync(join(LABELLED, person, file))));
        for (const { index, code } of body.details ?? []) refused.push(`${files[index]} ${code}`);
      }
      expect(refused).toEqual(['Vladimir_Putin_0001.jpg several-faces']);
    },
    2 * LIMIT_MS,
  );
});
