import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SfuError } from '../../sfu/errors.ts';
import { FAKE_STATS } from './fake-sfu.ts';
import { createLiveApp, type LiveApp } from './live/live-app.ts';

let live: LiveApp;
beforeEach(async () => {
  live = await createLiveApp();
});
afterEach(() => live.sfu.close());

const make = (body: unknown = {}) => live.call('POST', '/v1/streams', body);
const POLICY = { mode: 'all', identities: [], style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 3 };
/** What of it an engine follows. */
const BLUR = { style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 3 };

describe('making a stream', () => {
  test('answers 201 with all that the contract names', async () => {
    const { status, body, headers } = await make({ id: 'Lobby-1', record: true });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe('/v1/streams/lobby-1');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      id: 'lobby-1',
      key: expect.stringMatching(/^.{16,}$/),
      state: 'idle',
      reason: null,
      policy: POLICY,
      policyReason: null,
      record: true,
      hls: false,
      source: null,
      push: [],
      publish: { whip: 'http://localhost/whip/lobby-1', rtmp: 'rtmp://localhost:1935/live/lobby-1' },
      play: { whep: 'http://localhost/whep/lobby-1', hls: null, page: 'http://localhost/embed/lobby-1' },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      startedAt: null,
      stats: null,
    });
    expect(live.sfu.stream('lobby-1').settings).toEqual({
      ...{ policy: BLUR, record: true, hls: false, source: null, push: [] },
    });
  });

  test('needs no body, and makes an id of its own', async () => {
    const { status, body } = await live.call('POST', '/v1/streams');
    expect(status).toBe(201);
    expect(body.id).toMatch(/^[a-z0-9-]{1,64}$/);
    expect((await make()).body.id).not.toBe(body.id);
  });

  test('merges a policy over the defaults', async () => {
    const { body } = await make({ policy: { strength: 1, lookaheadFrames: 0, mode: 'only' } });
    expect(body.policy).toEqual({ ...POLICY, strength: 1, lookaheadFrames: 0, mode: 'only' });
  });

  test.each(['mosaic', 'solid', 'gaussian'])('takes the style %s, and changes to it while it runs', async (style) => {
    expect((await make({ policy: { style } })).body.policy).toEqual({ ...POLICY, style });
    await make({ id: 'a' });
    const { status, body } = await live.call('PATCH', '/v1/streams/a', { policy: { style } });
    expect([status, body.policy]).toEqual([200, { ...POLICY, style }]);
    expect(live.sfu.stream('a').updates).toEqual([expect.objectContaining({ policy: { ...BLUR, style } })]);
  });

  test('keeps only a hash of the key', async () => {
    const { body } = await make({ id: 'a' });
    const { keyHash } = live.store.rows.get('a')!;
    expect(keyHash).not.toContain(body.key);
    expect(live.streams.verifyKey('a', body.key)).toBe(true);
    expect(live.logged.join()).not.toContain(body.key);
  });

  test('one of many that want the same id gets it', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => make({ id: 'same' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...new Array(19).fill(409)]);
    expect(answers.find(({ status }) => status === 409)!.body.error.code).toBe('stream-exists');
    const { key } = answers.find(({ status }) => status === 201)!.body;
    expect(live.streams.verifyKey('same', key)).toBe(true);
  });

  test('ends at the bound, and goes on when one is erased', async () => {
    live = await createLiveApp({ streams: { maxStreams: 3 } });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => make({ id: `s${index}` })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = answers.find(({ status }) => status !== 201)!;
    expect([refused.status, refused.body.error.code]).toEqual([429, 'too-many-streams']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const { id } = answers.find(({ status }) => status === 201)!.body;
    expect((await live.call('DELETE', `/v1/streams/${id}`)).status).toBe(204);
    expect((await make()).status).toBe(201);
  });

  test('that the store refuses makes nothing', async () => {
    live.store.failure = new Error('disk full at /srv/secret');
    const { status, body } = await make({ id: 'a' });
    expect(status).toBe(500);
    expect(body.error).toMatchObject({ code: 'internal', message: 'the server failed' });
    expect((await live.call('GET', '/v1/streams/a')).status).toBe(404);
    expect((await make({ id: 'a' })).status).toBe(201);
  });

  test('that the SFU refuses leaves no row behind', async () => {
    live.sfu.refusal = new SfuError('worker-died', 'the media server is starting again');
    const { status, body, headers } = await make({ id: 'a' });
    expect([status, body.error.code, headers.get('retry-after')]).toEqual([503, 'not-ready', '1']);
    expect(live.store.rows.size).toBe(0);
    expect((await make({ id: 'a' })).status).toBe(201);
  });
});

describe('a stream', () => {
  test('is shown without its key, in any case of its id', async () => {
    const { key, ...made } = (await make({ id: 'lobby' })).body;
    for (const id of ['lobby', 'LOBBY']) {
      const { status, body, headers } = await live.call('GET', `/v1/streams/${id}`);
      expect(status).toBe(200);
      expect(body).toEqual(made);
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect(JSON.stringify((await live.call('GET', '/v1/streams')).body)).not.toContain(key);
  });

  test('that is live shows since when, and its figures', async () => {
    await make({ id: 'a' });
    live.sfu.stream('a').goLive();
    expect((await live.call('GET', '/v1/streams/a')).body).toMatchObject({
      state: 'live',
      startedAt: '2026-01-02T03:00:00.000Z',
      stats: FAKE_STATS,
    });
  });

  test('shows no secret of its source and targets', async () => {
    await make({
      id: 'a',
      source: 'rtsp://admin:hunter2@camera.example:554/user=admin&password=hunter2/ch1?token=hunter2',
      push: ['rtmp://a.rtmp.youtube.example/live2/hunter2', 'rtmp://hunter2@b.example/app/x?k=hunter2'],
    });
    const { body } = await live.call('GET', '/v1/streams/a');
    expect(JSON.stringify(body)).not.toContain('hunter2');
    expect(body.source).toBe('rtsp://***@camera.example:554/user=***/ch1?***');
    expect(body.push).toEqual(['rtmp://a.rtmp.youtube.example/live2/***', 'rtmp://***@b.example/app/***?***']);
    expect(live.sfu.stream('a').settings.push[0]).toContain('hunter2');
  });

  test('is where the request found us, or where PUBLIC_URL says', async () => {
    await make({ id: 'a' });
    const seen = (await live.call('GET', '/v1/streams/a', undefined, { host: '[::1]:8443' })).body;
    expect(seen.publish).toEqual({ whip: 'http://[::1]:8443/whip/a', rtmp: 'rtmp://[::1]:1935/live/a' });
    const urls = { publicUrl: 'https://live.example.com/gw', rtmpPort: () => 2935, hls: true };
    live = await createLiveApp({ urls });
    const { publish, play } = (await make({ id: 'a', hls: true })).body;
    expect(publish).toEqual({
      whip: 'https://live.example.com/gw/whip/a',
      rtmp: 'rtmp://live.example.com:2935/live/a',
    });
    expect(play).toEqual({
      whep: 'https://live.example.com/gw/whep/a',
      hls: 'https://live.example.com/gw/hls/a/index.m3u8',
      page: 'https://live.example.com/gw/embed/a',
    });
    expect((await make({ id: 'b' })).body.play.hls).toBeNull();
  });

  test('that is not there is answered 404 by every route', async () => {
    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '', { record: true }],
      ['DELETE', ''],
      ['POST', '/key'],
      ['POST', '/play-tokens', {}],
      ['GET', '/faces'],
      ['PATCH', '/faces/1', { visible: true }],
    ] as const) {
      const answer = await live.call(method, `/v1/streams/nobody${path}`, body);
      expect([method, path, answer.status, answer.body.error.code]).toEqual([method, path, 404, 'stream-not-found']);
    }
  });
});

describe('the list', () => {
  test('is paged in order, and misses none when one is erased between pages', async () => {
    for (let index = 0; index < 7; index++) await make({ id: `s${index}` });
    const first = (await live.call('GET', '/v1/streams?limit=3')).body;
    expect(first.items.map(({ id }: { id: string }) => id)).toEqual(['s0', 's1', 's2']);
    await live.call('DELETE', '/v1/streams/s2');
    const second = (await live.call('GET', `/v1/streams?limit=3&cursor=${first.next}`)).body;
    expect(second.items.map(({ id }: { id: string }) => id)).toEqual(['s3', 's4', 's5']);
    const third = (await live.call('GET', `/v1/streams?limit=3&cursor=${second.next}`)).body;
    expect([third.items.map(({ id }: { id: string }) => id), third.next]).toEqual([['s6'], null]);
  });

  test('is empty without streams', async () => {
    expect((await live.call('GET', '/v1/streams')).body).toEqual({ items: [], next: null });
  });

  test.each(['limit=0', 'limit=201', 'limit=x', 'limit=1e2', 'cursor=x', 'cursor=', `cursor=${'a'.repeat(300)}`])(
    '%s is answered 400',
    async (query) => {
      const { status, body } = await live.call('GET', `/v1/streams?${query}`);
      expect([status, body.error.code]).toEqual([400, 'bad-request']);
    },
  );
});

describe('changing a stream', () => {
  test('lays the policy over what is there, and tells the running stream', async () => {
    await make({ id: 'a', policy: { strength: 0.9 } });
    const { status, body } = await live.call('PATCH', '/v1/streams/A', { policy: { margin: 0.6 }, record: true });
    expect(status).toBe(200);
    const policy = { ...POLICY, strength: 0.9, margin: 0.6 };
    expect(body).toMatchObject({ id: 'a', policy, record: true });
    expect(body).not.toHaveProperty('key');
    const blur = { ...BLUR, strength: 0.9, margin: 0.6 };
    expect(live.sfu.stream('a').updates).toEqual([{ policy: blur, record: true }]);
    expect(live.store.rows.get('a')).toMatchObject({ policy, record: true });
  });

  test('from two sides at once loses neither', async () => {
    await make({ id: 'a' });
    await Promise.all([
      live.call('PATCH', '/v1/streams/a', { policy: { strength: 0.1 } }),
      live.call('PATCH', '/v1/streams/a', { policy: { margin: 0.9 } }),
      live.call('PATCH', '/v1/streams/a', { push: ['rtmp://host/app/x'] }),
    ]);
    expect(live.sfu.stream('a').settings).toMatchObject({
      policy: { strength: 0.1, margin: 0.9 },
      push: ['rtmp://host/app/x'],
    });
  });

  test('refuses what can’t be changed, and changes nothing then', async () => {
    await make({ id: 'a' });
    for (const [body, status] of [
      [{ id: 'b' }, 400],
      [{ source: 'rtsp://host/a' }, 400],
      [{ hls: true }, 400],
      [{ record: true, policy: { strength: 2 } }, 400],
      [{ record: true, policy: { style: 'fog' } }, 400],
      [{ record: true, policy: { identities: ['someone'] } }, 422],
    ] as const) {
      expect((await live.call('PATCH', '/v1/streams/a', body)).status).toBe(status);
    }
    expect(live.sfu.stream('a').updates).toEqual([]);
  });

  test('that the store refuses leaves the running stream as it was', async () => {
    await make({ id: 'a' });
    live.store.failure = new Error('disk full');
    expect((await live.call('PATCH', '/v1/streams/a', { policy: { strength: 0 } })).status).toBe(500);
    expect(live.sfu.stream('a').updates).toEqual([]);
    expect((await live.call('GET', '/v1/streams/a')).body.policy).toEqual(POLICY);
  });
});

describe('erasing a stream', () => {
  test('ends it and forgets it, and its id is free again', async () => {
    const first = (await make({ id: 'a' })).body;
    const stream = live.sfu.stream('a');
    stream.goLive();
    expect((await live.call('DELETE', '/v1/streams/a')).status).toBe(204);
    expect([stream.closed, live.store.rows.size]).toEqual([true, 0]);
    expect((await live.call('DELETE', '/v1/streams/a')).status).toBe(404);
    expect(live.streams.verifyKey('a', first.key)).toBe(false);
    const second = (await make({ id: 'a' })).body;
    expect(live.streams.verifyKey('a', first.key)).toBe(false);
    expect(live.streams.verifyKey('a', second.key)).toBe(true);
  });

  test('twice at once is done once', async () => {
    await make({ id: 'a' });
    const answers = await Promise.all([1, 2, 3].map(() => live.call('DELETE', '/v1/streams/a')));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404]);
  });
});

describe('a restart', () => {
  test('brings every stream back, idle, with its key, policy and order', async () => {
    const { key } = (await make({ id: 'b', policy: { strength: 0.7 }, source: 'rtsp://camera.example/a' })).body;
    await make({ id: 'a' });
    const { body: before } = await live.call('GET', '/v1/streams');
    const added: string[] = [];
    const again = await createLiveApp({
      store: live.store,
      streams: { hooks: { added: ({ id, settings }) => added.push(`${id} ${settings.source}`) } },
    });
    expect((await again.call('GET', '/v1/streams')).body).toEqual(before);
    expect(again.streams.verifyKey('b', key)).toBe(true);
    expect(added).toEqual(['b rtsp://camera.example/a', 'a null']);
  });
});

describe('hooks', () => {
  test('hear of what comes, changes and goes', async () => {
    const heard: string[] = [];
    const hear = (what: string) => (stream: { id: string }) => void heard.push(`${what} ${stream.id}`);
    live = await createLiveApp({
      streams: { hooks: { added: hear('added'), changed: hear('changed'), removed: hear('removed') } },
    });
    await make({ id: 'a' });
    await live.call('PATCH', '/v1/streams/a', { record: true });
    await live.call('DELETE', '/v1/streams/a');
    expect(heard).toEqual(['added a', 'changed a', 'removed a']);
  });
});
