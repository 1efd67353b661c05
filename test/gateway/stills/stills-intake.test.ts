import { request } from 'node:http';
import { Server } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { afterEach, expect, test, vi } from 'vitest';
import { Intake } from '../../../gateway/stills/intake.ts';
import { Stills, type StillsOptions } from '../../../gateway/stills/stills.ts';
import { InferenceError } from '../../../inference/errors.ts';
import type { ImageFaces } from '../../../inference/image/image-engine.ts';
import { photo } from '../../inference/image/pictures.ts';
import { createStillApp, formOf, type StillApp, type StillAppOptions } from './still-app.ts';

const MODELS = { cacheDir: '/nonexistent' };
const FOUND: ImageFaces = { width: 64, height: 47, faces: [], model: 'fake', tookMs: 1 };
const LIMITS = { maxBytes: 100_000, idleMs: 60_000, totalMs: 60_000 };
const picture = await photo(64).jpeg().toBuffer();

const apps: StillApp[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  for (const app of apps.splice(0)) await app.close();
});

/** Routes over an engine that answers when it is told to. */
async function create(routes: NonNullable<StillAppOptions['routes']> = {}) {
  const detectFaces = vi.fn<StillsOptions['engine']['detectFaces']>(async () => FOUND);
  const never = () => Promise.reject(new Error('not asked for'));
  const stills = new Stills({
    engine: { detectFaces, embedFaces: never, analyseFaces: never },
    modelNames: async () => ({ detector: 'fake', recogniser: 'fake', fingerprint: '0' }),
    // What is found is found anew each time.
    cache: { recall: async (_, make) => ({ text: (await make()).text, isHit: false }) } as StillsOptions['cache'],
  });
  const app = await createStillApp({ models: MODELS, keptMs: 0, routes: { stills, limits: LIMITS, ...routes } });
  apps.push(app);
  return { app, detectFaces };
}

/** A body that comes as it is pulled: its size is not told beforehand. */
function streamed(type: string, chunks: AsyncGenerator<Uint8Array>): RequestInit {
  return {
    body: ReadableStream.from(chunks) as RequestInit['body'],
    headers: { 'content-type': type },
    duplex: 'half',
  } as RequestInit;
}

test('so many at a time are let in, the next is told when to come back, and there is room again afterwards', async () => {
  const { app, detectFaces } = await create({ intake: new Intake({ maxRequests: 2, maxBytes: 1e6 }) });
  const finish: (() => void)[] = [];
  detectFaces.mockImplementation(() => new Promise((resolve) => finish.push(() => resolve(FOUND))));
  const first = [app.post('detect', { image: picture }), app.post('detect', { image: picture })];
  await vi.waitFor(() => expect(finish).toHaveLength(2));
  const { status, headers, body } = await app.post('detect', { image: picture });
  expect([status, body.error.code]).toEqual([429, 'too-many']);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  for (const end of finish) end();
  for (const answer of first) expect((await answer).status).toBe(200);
  detectFaces.mockResolvedValue(FOUND);
  expect((await app.post('detect', { image: picture })).status).toBe(200);
});

test('so many bytes are held at a time, those of refused bodies are let go', async () => {
  const { app } = await create({ intake: new Intake({ maxRequests: 9, maxBytes: 2 * picture.length }) });
  for (let i = 0; i < 3; i++) {
    const { status, body } = await app.post('detect-batch', { images: [picture, picture, picture] });
    expect([status, body.error.code]).toEqual([429, 'too-many']);
    expect((await app.post('detect', { image: picture })).status).toBe(200);
  }
});

test('a body that is declared too large is refused before it is read', async () => {
  const { app } = await create();
  const read = vi.fn();
  async function* chunks() {
    read();
    yield new Uint8Array(1);
  }
  const init = streamed('multipart/form-data; boundary=x', chunks());
  const { status, body } = await app.send('detect', {
    ...init,
    headers: { ...(init.headers as Record<string, string>), 'content-length': '100001' },
  });
  expect([status, body.error.code]).toEqual([413, 'body-too-large']);
  expect(read).not.toHaveBeenCalled();
});

test('a body that grows too large is refused as soon as it does', async () => {
  const { app } = await create();
  let sent = 0;
  async function* chunks() {
    for (;;) {
      sent += 10_000;
      yield new Uint8Array(10_000);
    }
  }
  const { status, body } = await app.send('detect', streamed('multipart/form-data; boundary=x', chunks()));
  expect([status, body.error.code]).toEqual([413, 'body-too-large']);
  expect(sent).toBeLessThan(2 * LIMITS.maxBytes);
});

test.each([
  ['brings nothing more', { ...LIMITS, idleMs: 30 }],
  ['has no end', { ...LIMITS, totalMs: 60 }],
])('a body that %s is given up', async (_, limits) => {
  const { app } = await create({ limits });
  async function* chunks() {
    while (limits.idleMs > 1000) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield new Uint8Array(1);
    }
    yield new Uint8Array(1);
    await new Promise(() => {});
  }
  const { status, body } = await app.send('detect', streamed('multipart/form-data; boundary=x', chunks()));
  expect([status, body.error.code]).toEqual([400, 'upload-incomplete']);
});

test('for a client that went away no further picture is looked at, and its place is free', async () => {
  const { app, detectFaces } = await create({ intake: new Intake({ maxRequests: 1, maxBytes: 1e6 }) });
  const server = createAdaptorServer({ fetch: app.app.fetch });
  if (!(server instanceof Server)) throw new Error('an HTTP server listens');
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');

  const seen: (AbortSignal | undefined)[] = [];
  detectFaces.mockImplementation(async (_, { signal } = {}) => {
    seen.push(signal);
    await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    return FOUND;
  });
  const form = new Response(formOf({ images: [picture, picture, picture] }));
  const leaving = request({
    ...{ host: '127.0.0.1', port: address.port, path: '/v1/faces/detect-batch', method: 'POST' },
    headers: { 'content-type': form.headers.get('content-type')! },
  });
  leaving.on('error', () => {});
  leaving.end(Buffer.from(await form.arrayBuffer()));
  await vi.waitFor(() => expect(seen).toHaveLength(1));
  leaving.destroy();
  await vi.waitFor(() => expect(seen[0]!.aborted).toBe(true));
  detectFaces.mockResolvedValue(FOUND);
  await vi.waitFor(async () => expect((await app.post('detect', { image: picture })).status).toBe(200));
  expect(seen).toHaveLength(1);
});

test('a picture of a batch that we fail on is told in its place and logged, one for want of a model ends it', async () => {
  const { app, detectFaces } = await create();
  detectFaces.mockRejectedValueOnce(new InferenceError('child-died', 'the process that read it died (SIGSEGV)'));
  const { status, body } = await app.post('detect-batch', { images: [picture, picture] });
  expect(status).toBe(200);
  expect(body.results).toMatchObject([
    { index: 0, error: { code: 'internal' } },
    { index: 1, model: 'fake' },
  ]);
  expect(JSON.stringify(body)).not.toContain('SIGSEGV');
  expect(app.logged.filter((line) => line.includes('SIGSEGV'))).toHaveLength(1);
  detectFaces.mockRejectedValueOnce(new InferenceError('model-unusable', 'models: /home/somebody/models is empty'));
  const without = await app.post('detect-batch', { images: [picture, picture] });
  expect([without.status, without.body.error.code]).toEqual([503, 'not-ready']);
  expect(without.body.error.message).not.toContain('/');
});

test('what is found by another model than was expected is answered and not kept', async () => {
  const lasting: boolean[] = [];
  const { app, detectFaces } = await create({
    stills: new Stills({
      engine: { detectFaces: async () => FOUND, embedFaces: vi.fn(), analyseFaces: vi.fn() },
      modelNames: async () => ({ detector: 'another', recogniser: 'fake', fingerprint: '0' }),
      cache: {
        recall: async (_: unknown, make: () => Promise<{ text: string; isLasting: boolean }>) => {
          const made = await make();
          lasting.push(made.isLasting);
          return { text: made.text, isHit: false };
        },
      } as unknown as StillsOptions['cache'],
    }),
  });
  expect((await app.post('detect', { image: picture })).status).toBe(200);
  expect(lasting).toEqual([false]);
  expect(detectFaces).not.toHaveBeenCalled();
});
