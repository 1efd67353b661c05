import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { InferenceError } from '../../inference/errors.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { createTestApp, errorOf, type TestApp } from './test-app.ts';

/** A process id above Linux's highest (2^22), so that none has it. */
const DEAD_PROCESS = 4_194_305;

let app: TestApp;
beforeEach(async () => {
  app = await createTestApp();
});
afterEach(() => app.close());

describe('upload', () => {
  test('a clip goes from upload to a result that can be fetched, and its input is erased', async () => {
    const response = await app.upload('raw video');
    expect(response.status).toBe(201);
    const { id, state } = (await response.json()) as { id: string; state: string };
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(state).toBe('running');
    expect(response.headers.get('location')).toBe(`/demo/clips/${id}`);

    const call = await app.call(0);
    expect(await readFile(call.options.input, 'utf8')).toBe('raw video');
    expect((await stat(call.options.input)).mode & 0o777).toBe(0o600);
    call.progress({ frames: 45, fps: 61.44, etaMs: 730 });
    expect(await app.view(id)).toMatchObject({ state: 'running', progress: 50, fps: 61.4, etaMs: 730, faces: null });

    call.finish();
    const done = await app.reaches(id, 'done');
    expect(done).toMatchObject({ progress: 100, faces: 2, coveredWhole: 0, error: null });
    expect(await app.files(id)).not.toContain('input');
    const output = await app.request(`/demo/clips/${id}/output`);
    expect(output.status).toBe(200);
    expect(output.headers.get('content-type')).toBe('video/mp4');
    expect(output.headers.get('content-disposition')).toBe('inline');
    expect(output.headers.get('cache-control')).toContain('no-store');
    expect(await output.text()).toBe('raw video');
  });

  test('is refused by its declared length before a byte is read', async () => {
    const body = new ReadableStream({ pull: () => expect.unreachable('the body was read') }, { highWaterMark: 0 });
    const headers = { 'content-length': '1000001' };
    const response = await app.request('/demo/clips', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(413);
    expect(await errorOf(response)).toMatchObject({ code: 'upload-too-large' });
    expect(await app.folders()).toEqual([]);
  });

  test('is refused while it streams once it is past the limit, and leaves nothing on disk', async () => {
    const response = await app.upload(new Uint8Array(1_000_001));
    expect(response.status).toBe(413);
    expect(await app.folders()).toEqual([]);
  });

  test('of exactly the limit is taken', async () => {
    expect((await app.upload(new Uint8Array(1_000_000))).status).toBe(201);
  });

  test.each([
    ['without a body', undefined],
    ['with an empty body', new Uint8Array(0)],
  ])('%s is refused', async (_name, body) => {
    const response = await app.request('/demo/clips', { method: 'POST', body });
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe('upload-empty');
    expect(await app.folders()).toEqual([]);
  });

  test('as a form is refused', async () => {
    const form = new FormData();
    form.set('file', new Blob(['x']));
    expect((await app.upload(form)).status).toBe(415);
  });

  test('that breaks off leaves nothing on disk', async () => {
    const body = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new Uint8Array(10));
        controller.error(new Error('connection lost'));
      },
    });
    const response = await app.request('/demo/clips', { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe('upload-incomplete');
    expect(await app.folders()).toEqual([]);
  });

  test('in progress ends when the server closes', async () => {
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
    const answer = app.request('/demo/clips', { method: 'POST', body, duplex: 'half' } as RequestInit);
    await vi.waitFor(async () => expect(await app.folders()).toHaveLength(1));
    await app.clips.close();
    expect((await answer).status).toBe(503);
    expect(await app.folders()).toEqual([]);
  });
});

describe('queue', () => {
  test('runs one job at a time, in order', async () => {
    const ids = [await app.accepted('a'), await app.accepted('b'), await app.accepted('c')];
    expect(await Promise.all(ids.map(async (id) => (await app.view(id)).state))).toEqual([
      'running',
      'queued',
      'queued',
    ]);
    for (const [index, id] of ids.entries()) {
      (await app.call(index)).finish();
      await app.reaches(id, 'done');
    }
    expect(app.engine.mostRunning).toBe(1);
  });

  test('is bounded: one more clip is answered 429 with Retry-After, and stored nowhere', async () => {
    for (let clip = 0; clip < 9; clip += 1) await app.accepted(`clip ${clip}`);
    const refused = await app.upload('one too many');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await errorOf(refused)).code).toBe('queue-full');
    expect(await app.folders()).toHaveLength(9);
  });

  test('goes on after a failure', async () => {
    const [first, second] = [await app.accepted('a'), await app.accepted('b')];
    (await app.call(0)).fail(new Error('boom'));
    await app.reaches(first, 'failed');
    (await app.call(1)).finish();
    await app.reaches(second, 'done');
  });
});

describe('erasure', () => {
  test('of a running clip stops its job, erases its files and lets the next one run', async () => {
    const [first, second] = [await app.accepted('a'), await app.accepted('b')];
    await app.call(0);
    expect((await app.request(`/demo/clips/${first}`, { method: 'DELETE' })).status).toBe(204);
    expect((await app.request(`/demo/clips/${first}`)).status).toBe(404);
    expect(await app.folders()).toEqual([second]);
    await app.reaches(second, 'running');
    expect(app.engine.mostRunning).toBe(1);
  });

  test('of a queued clip keeps it from ever running', async () => {
    const [first, second] = [await app.accepted('a'), await app.accepted('b')];
    expect((await app.request(`/demo/clips/${second}`, { method: 'DELETE' })).status).toBe(204);
    (await app.call(0)).finish();
    await app.reaches(first, 'done');
    expect(app.engine.calls).toHaveLength(1);
    expect(await app.folders()).toEqual([first]);
  });

  test('of a finished clip erases its result', async () => {
    const id = await app.accepted('a');
    (await app.call(0)).finish();
    await app.reaches(id, 'done');
    expect((await app.request(`/demo/clips/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await app.request(`/demo/clips/${id}/output`)).status).toBe(404);
    expect(await app.folders()).toEqual([]);
  });

  test('comes by itself when a finished clip has had its time', async () => {
    await app.close();
    app = await createTestApp({ lifetimeMs: 50 });
    const id = await app.accepted('a');
    (await app.call(0)).finish();
    await vi.waitFor(async () => expect((await app.request(`/demo/clips/${id}`)).status).toBe(404));
    await vi.waitFor(async () => expect(await app.folders()).toEqual([]));
  });

  test('takes the oldest finished clips when there are more than are kept', async () => {
    await app.close();
    app = await createTestApp({ maxKept: 1 });
    const ids: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      ids.push(await app.accepted('a'));
      (await app.call(index)).finish();
      await app.reaches(ids[index]!, 'done');
    }
    await vi.waitFor(async () => expect((await app.request(`/demo/clips/${ids[0]}`)).status).toBe(404));
    expect((await app.view(ids[2]!)).state).toBe('done');
  });

  test('takes everything at close, and close waits for the engine', async () => {
    await app.accepted('a');
    await app.accepted('b');
    await app.call(0);
    await app.clips.close();
    expect(app.engine.running).toBe(0);
    expect(await app.folders()).toEqual([]);
  });

  test('at start takes what a server that died left behind, not what a live one holds', async () => {
    const parent = join(app.dataDir, 'demo');
    for (const [name, owner] of [
      ['dead', DEAD_PROCESS],
      ['live', process.ppid],
    ] as const) {
      await mkdir(join(parent, name));
      await writeFile(join(parent, name, 'owner'), String(owner));
    }
    await mkdir(join(parent, 'unmarked'));
    const { Clips } = await import('../../gateway/demo/clips.ts');
    const options = {
      maxUploadBytes: 1,
      maxQueued: 1,
      maxKept: 1,
      lifetimeMs: 60_000,
      models: defaultModelLocations({}),
    };
    const { pino } = await import('pino');
    const log = pino({ level: 'silent' });
    const other = await Clips.create({ ...options, dataDir: app.dataDir, blurFile: app.engine.blurFile, log });
    expect(await app.folders()).toEqual(['live']);
    await other.close();
  });
});

describe('result', () => {
  const finished = async (content: string) => {
    const id = await app.accepted(content);
    (await app.call(0)).finish();
    await app.reaches(id, 'done');
    return `/demo/clips/${id}/output`;
  };

  test.each([
    ['bytes=2-4', 206, 'cde', 'bytes 2-4/10'],
    ['bytes=7-', 206, 'hij', 'bytes 7-9/10'],
    ['bytes=-2', 206, 'ij', 'bytes 8-9/10'],
    ['bytes=5-99', 206, 'fghij', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
  ])('Range %s is answered %i', async (range, status, body, contentRange) => {
    const response = await app.request(await finished('abcdefghij'), { headers: { range } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(await response.text()).toBe(body);
  });

  test('HEAD tells the size and that ranges are possible', async () => {
    const response = await app.request(await finished('abcdefghij'), { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe('10');
    expect(response.headers.get('accept-ranges')).toBe('bytes');
  });

  test('of a clip that is not done is answered 409', async () => {
    const response = await app.request(`/demo/clips/${await app.accepted('a')}/output`);
    expect(response.status).toBe(409);
    expect((await errorOf(response)).code).toBe('clip-not-done');
  });
});

describe('failure', () => {
  test('that lies with the clip is told in the engine’s words, without a path', async () => {
    const id = await app.accepted('a');
    const call = await app.call(0);
    call.fail(new InferenceError('input-not-video', `${call.options.input} is not a video`));
    const { error } = await app.reaches(id, 'failed');
    expect(error).toEqual({ code: 'input-not-video', message: 'the clip is not a video' });
    expect(await app.files(id)).not.toContain('input');
  });

  test.each([
    ['of the engine', new InferenceError('child-died', 'child at /srv/secret died'), 'child-died'],
    ['that is unknown', new TypeError('cannot read /srv/secret'), 'internal'],
  ])('%s tells no detail', async (_name, reason, code) => {
    const id = await app.accepted('a');
    (await app.call(0)).fail(reason);
    const { error } = await app.reaches(id, 'failed');
    expect(error).toEqual({ code, message: 'the server could not blur this clip' });
  });
});
