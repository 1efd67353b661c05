import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fakeFace } from '../fake-sfu.ts';
import { createLiveApp, type LiveApp } from './live-app.ts';

let live: LiveApp;
beforeEach(async () => {
  live = await createLiveApp();
});
afterEach(() => live.sfu.close());

const make = (body: unknown = {}) => live.call('POST', '/v1/streams', body);

describe('the key', () => {
  test('made anew ends the old one, and is shown this once', async () => {
    const { key: old } = (await make({ id: 'a' })).body;
    const { status, body, headers } = await live.call('POST', '/v1/streams/A/key');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({ id: 'a', key: expect.any(String) });
    expect([live.streams.verifyKey('a', old), live.streams.verifyKey('A', body.key)]).toEqual([false, true]);
    expect(live.store.rows.get('a')!.keyHash).not.toContain(body.key);
  });

  test('opens no stream that is not there', async () => {
    const { key } = (await make({ id: 'a' })).body;
    expect(live.streams.verifyKey('nobody', key)).toBe(false);
    expect(live.streams.verifyKey('nobody', '')).toBe(false);
  });

  test('of one stream does not open another', async () => {
    const [a, b] = [(await make({ id: 'a' })).body, (await make({ id: 'b' })).body];
    expect(live.streams.verifyKey('a', b.key)).toBe(false);
    expect(live.streams.verifyKey('b', a.key)).toBe(false);
  });
});

describe('play tokens', () => {
  test('open their stream until they expire', async () => {
    await make({ id: 'a' });
    const { status, body } = await live.call('POST', '/v1/streams/a/play-tokens', { expiresIn: 60 });
    expect(status).toBe(200);
    expect(body).toEqual({ token: expect.stringMatching(/^[\w-]{40,}$/), expiresAt: expect.any(String) });
    const [[hash, row]] = [...live.tokens.rows];
    expect(hash).not.toContain(body.token);
    expect(await live.playTokens.streamOf(body.token)).toBe('a');
    live.tokens.rows.set(hash, { ...row, expiresAt: new Date(Date.now() - 1) });
    expect(await live.playTokens.streamOf(body.token)).toBeNull();
  });

  test('last an hour where nothing is said', async () => {
    await make({ id: 'a' });
    const before = Date.now();
    const { body } = await live.call('POST', '/v1/streams/a/play-tokens');
    const seconds = (new Date(body.expiresAt).getTime() - before) / 1000;
    // The request itself takes a moment.
    expect(seconds).toBeGreaterThanOrEqual(3600);
    expect(seconds).toBeLessThan(3610);
  });

  test.each([0, 86_401, 1.5, '60', null])('for %j seconds are refused', async (expiresIn) => {
    await make({ id: 'a' });
    const { status, body } = await live.call('POST', '/v1/streams/a/play-tokens', { expiresIn });
    expect([status, body.error.message.startsWith('expiresIn: ')]).toEqual([400, true]);
  });

  test('never show faces, settings or other streams', async () => {
    await make({ id: 'a' });
    const { token } = (await live.call('POST', '/v1/streams/a/play-tokens')).body;
    for (const path of ['/a/faces', '/a', '']) {
      const { status, body } = await live.call('GET', `/v1/streams${path}`, undefined, {
        authorization: `Bearer ${token}`,
      });
      expect([status, body.error.code]).toEqual([403, 'forbidden']);
    }
  });
});

describe('faces', () => {
  test('on screen are listed as the contract says', async () => {
    await make({ id: 'a' });
    expect((await live.call('GET', '/v1/streams/a/faces')).body).toEqual({ items: [] });
    live.sfu.stream('a').latestFaces = [fakeFace(1), { ...fakeFace(2), thumbnail: null }];
    const { status, body } = await live.call('GET', '/v1/streams/a/faces');
    expect(status).toBe(200);
    expect(body.items[0]).toEqual({
      track: 1,
      box: [10, 20, 30, 40],
      score: 0.9,
      identity: null,
      visible: false,
      reason: 'policy',
      thumbnail: 'data:image/jpeg;base64,AAAA',
      firstSeenAt: '2026-01-02T03:04:05.678Z',
    });
    expect(body.items[1].thumbnail).toBeNull();
  });

  test('are shown and covered one by one', async () => {
    await make({ id: 'a' });
    const stream = live.sfu.stream('a');
    stream.latestFaces = [fakeFace(7)];
    const { status, body } = await live.call('PATCH', '/v1/streams/a/faces/7', { visible: true });
    expect([status, body]).toEqual([200, { track: 7, visible: true }]);
    await live.call('PATCH', '/v1/streams/a/faces/7', { visible: false });
    expect(stream.pins).toEqual([
      [7, true],
      [7, false],
    ]);
  });

  test.each(['8', 'x', '-7', '7.0', '1e9', '9'.repeat(20)])(
    '%s, which is not on screen, is answered 404',
    async (track) => {
      await make({ id: 'a' });
      live.sfu.stream('a').latestFaces = [fakeFace(7)];
      const { status, body } = await live.call('PATCH', `/v1/streams/a/faces/${track}`, { visible: true });
      expect([status, body.error.code]).toEqual([404, 'face-not-found']);
    },
  );

  test.each([{}, { visible: 'yes' }, { visible: true, track: 1 }])('%j is answered 400', async (body) => {
    await make({ id: 'a' });
    expect((await live.call('PATCH', '/v1/streams/a/faces/7', body)).status).toBe(400);
  });
});

test('a bind that others reach is closed to whoever shows no credential', async () => {
  live = await createLiveApp({ bind: '192.0.2.1' });
  const { status, body } = await make({ id: 'a' });
  expect([status, body.error.code]).toEqual([401, 'unauthorized']);
  expect(live.store.rows.size).toBe(0);
});
