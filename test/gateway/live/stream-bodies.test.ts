import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { urlCheck } from '../../../gateway/live/url-check.ts';
import { createLiveApp, type LiveApp } from './live-app.ts';

let live: LiveApp;
beforeEach(async () => {
  live = await createLiveApp();
});
afterEach(() => live.sfu.close());

const make = (body: unknown = {}) => live.call('POST', '/v1/streams', body);

describe('a malformed body', () => {
  const url = `rtmp://host/${'a'.repeat(2050)}`;
  test.each<[unknown, RegExp]>([
    ['{', /^the body is not JSON$/],
    ['[]', /expected object/],
    ['null', /expected object/],
    [{ id: '' }, /^id: must be 1 to 64/],
    [{ id: 'a b' }, /^id: /],
    [{ id: 'ä' }, /^id: /],
    [{ id: '../x' }, /^id: /],
    [{ id: 'a'.repeat(65) }, /^id: /],
    [{ id: 7 }, /^id: /],
    [{ nonsense: 1 }, /unknown field "nonsense"/],
    ['{"__proto__": {"record": true}}', /unknown field "__proto__"/],
    [{ policy: { blur: true } }, /^policy: unknown field "blur"/],
    [{ policy: { strength: 1.1 } }, /^policy\.strength: must be from 0 to 1/],
    [{ policy: { strength: '1' } }, /^policy\.strength: /],
    [{ policy: { margin: -0.1 } }, /^policy\.margin: /],
    [{ policy: { lookaheadFrames: 16 } }, /^policy\.lookaheadFrames: must be from 0 to 15/],
    [{ policy: { lookaheadFrames: 1.5 } }, /^policy\.lookaheadFrames: /],
    [{ policy: { mode: 'none' } }, /^policy\.mode: must be one of all, except, only/],
    [{ policy: { style: 'emoji' } }, /^policy\.style: must be one of mosaic, solid, gaussian/],
    [{ policy: null }, /^policy: /],
    [{ record: 'yes' }, /^record: /],
    [{ source: 'http://host/a' }, /^source: must be an address that begins with rtsp:\/\/ or rtmp:\/\//],
    [{ source: 'file:///etc/passwd' }, /^source: /],
    [{ source: 'rtsp:///path' }, /^source: /],
    [{ source: 'rtsp://ho st/a' }, /^source: /],
    [{ source: 'rtsp://host/a\n-i x' }, /^source: /],
    [{ source: url }, /^source: must be at most 2048/],
    [{ source: 'rtsp://***@host/a' }, /^source: must be the whole address/],
    [{ push: 'rtmp://host/a' }, /^push: /],
    [{ push: ['rtsp://host/a'] }, /^push\.0: must be an address that begins with rtmp:\/\//],
    [{ push: Array.from({ length: 9 }, (_, i) => `rtmp://host/${i}`) }, /^push: must be at most 8/],
    [{ push: ['rtmp://host/a', 'rtmp://host/a'] }, /^push: must not name a target twice/],
  ])('%j is answered 400 with what is wrong and where', async (body, message) => {
    const answer = await make(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({
      error: { code: 'bad-request', message: expect.stringMatching(message), requestId: expect.any(String) },
    });
    expect(live.sfu.streams.size).toBe(0);
  });

  test('never has its secrets repeated', async () => {
    for (const body of [{ source: 'http://user:hunter2@host' }, '{"source": "hunter2", }', { push: ['x hunter2'] }]) {
      expect(JSON.stringify((await make(body)).body)).not.toContain('hunter2');
    }
  });

  test('has no more of its names repeated than fits a line', async () => {
    const names = Array.from({ length: 50 }, (_, index) => [`${'\n'.repeat(100)}${index}`, 1]);
    const { body } = await make(Object.fromEntries(names));
    expect(body.error.message).not.toContain('\n');
    expect(body.error.message.length).toBeLessThan(300);
  });

  test('of another type is answered 415, and one that is too large 413', async () => {
    const form = await live.call('POST', '/v1/streams', '{}', { 'content-type': 'text/plain' });
    expect([form.status, form.body.error.code]).toEqual([415, 'unsupported-media-type']);
    const large = await make(JSON.stringify({ id: 'a'.repeat(70_000) }));
    expect([large.status, large.body.error.code]).toEqual([413, 'body-too-large']);
  });

  test('nested a thousand times is answered 400', async () => {
    expect((await make(`{"policy":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)).status).toBe(400);
  });
});

describe('what is well-formed but not possible', () => {
  test.each([[{ policy: { identities: ['someone'] } }, 'policy.identities.0: nobody is enrolled']])(
    '%j is answered 422',
    async (body, message) => {
      const answer = await make(body);
      expect([answer.status, answer.body.error.code]).toEqual([422, 'unprocessable']);
      expect(answer.body.error.message).toContain(message);
      expect(live.store.rows.size).toBe(0);
    },
  );

  test('an address that may not be pulled from is answered 422', async () => {
    const hosts: Record<string, string> = { 'camera.example': '8.8.8.8', 'inside.example': '10.0.0.7' };
    const lookup = async (name: string) => {
      if (!(name in hosts)) throw new Error('ENOTFOUND');
      return [{ address: hosts[name]! }];
    };
    const checkUrl = urlCheck({ allowPrivate: false, lookup });
    live = await createLiveApp({ streams: { checkUrl } });
    expect((await make({ source: 'rtsp://127.0.0.1/a' })).status).toBe(422);
    expect((await make({ push: ['rtmp://127.0.0.1/a'] })).status).toBe(422);
    expect((await make({ source: 'rtsp://[::1]/a' })).status).toBe(422);
    expect((await make({ source: 'rtsp://2130706433/a' })).status).toBe(422);
    expect((await make({ source: 'rtsp://user:hunter2@inside.example/a' })).body.error).toEqual({
      ...{ code: 'unprocessable', message: expect.not.stringContaining('hunter2'), requestId: expect.any(String) },
    });
    expect((await make({ source: 'rtsp://camera.example/a' })).status).toBe(201);
    expect((await make({ source: 'rtsp://switched-off.example/a' })).status).toBe(201);
  });
});
