import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadServerConfig } from '../../../gateway/config.ts';
import { Server } from '../../../gateway/server.ts';
import { FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { FakeEngine } from '../fake-engine.ts';
import { formOf } from './still-app.ts';
import { portrait } from './still-photos.ts';

let folder: string;
let server: Server;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-erasure-'));
  server = await start();
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const start = () =>
  Server.create({
    config: loadServerConfig({
      ...{ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: folder, FACEBLUR_DETECTOR: 'ssd-mobilenet-v1' },
    }),
    blurFile: new FakeEngine().blurFile,
    ready: async () => {},
    log: pino({ level: 'silent' }),
  });
const post = (path: string, body: FormData) => fetch(`${server.url}/v1/${path}`, { method: 'POST', body });
const kept = async () => (await readdir(join(folder, 'stills'))).filter((name) => name !== 'key');

test('a person who is erased takes along what was found in the photos, and what was found in others stays', async () => {
  const mine = await portrait(FOUR_PEOPLE, 1).jpeg({ quality: 95 }).toBuffer();
  const other = await portrait(FOUR_PEOPLE, 3).jpeg({ quality: 95 }).toBuffer();
  const enrolment = formOf({ 'images[]': mine });
  enrolment.append('name', 'Somebody');
  const enrolled = await post('identities', enrolment);
  expect(enrolled.status).toBe(201);
  const { id } = (await enrolled.json()) as { id: string };
  const comparison = await post('faces/compare', formOf({ a: mine, b: other }));
  expect(comparison.status).toBe(200);
  expect(await comparison.json()).toMatchObject({ similarity: [expect.any(Number)], same: [false] });
  expect((await post('faces/detect', formOf({ image: mine }))).status).toBe(200);
  expect(await kept()).toHaveLength(3);

  // What is on disk outlives the server, and is erased all the same.
  await server.close();
  server = await start();
  expect((await post('faces/detect', formOf({ image: mine }))).headers.get('x-cache')).toBe('hit');
  expect((await fetch(`${server.url}/v1/identities/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect(await kept()).toHaveLength(1);
  expect((await post('faces/embed', formOf({ image: other }))).headers.get('x-cache')).toBe('hit');
  expect((await post('faces/embed', formOf({ image: mine }))).headers.get('x-cache')).toBe('miss');
});
