import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SfuError } from '../../sfu/errors.ts';
import { FAKE_STATS, fakeFace } from './fake-sfu.ts';
import { DTLS_PARAMETERS, RTP_CAPABILITIES, RTP_PARAMETERS } from './live/rtc-samples.ts';
import { startWsServer, type WsServer, type WsServerOptions } from './live/ws-server.ts';

let server: WsServer;
beforeEach(async () => {
  server = await startWsServer();
});
afterEach(() => server.close());

async function restart(options: WsServerOptions): Promise<void> {
  await server.close();
  server = await startWsServer(options);
}

/** Makes a stream that is live. @returns its key */
async function liveStream(id: string): Promise<string> {
  const { key } = await server.streams.create({ id });
  server.sfu.stream(id).goLive();
  return key;
}

describe('the upgrade', () => {
  test('is taken from our own page and from programs', async () => {
    const { port } = server;
    await server.connect();
    await server.connect({ origin: `http://127.0.0.1:${port}` });
    await server.connect({ host: `localhost:${port}`, origin: `http://localhost:${port}` });
  });

  test.each<[Record<string, string>, string]>([
    [{ origin: 'http://evil.example' }, 'foreign-origin'],
    [{ origin: 'null' }, 'foreign-origin'],
    [{ origin: 'https://127.0.0.1' }, 'foreign-origin'],
    [{ host: 'evil.example' }, 'foreign-host'],
    [{ host: '127.0.0.1.evil.example' }, 'foreign-host'],
  ])('with %j is refused', async (headers, code) => {
    const { status, body } = await server.refused(headers);
    expect(status).toBe(403);
    expect(body).toEqual({ error: { code, message: expect.any(String), requestId: expect.any(String) } });
  });

  test('is taken from the origins that are allowed', async () => {
    await restart({ ws: { allowedOrigins: ['https://embed.example'] } });
    await server.connect({ origin: 'https://embed.example' });
    expect((await server.refused({ origin: 'https://other.example' })).status).toBe(403);
    await restart({ ws: { allowedOrigins: '*' } });
    await server.connect({ origin: 'https://other.example' });
  });

  test('elsewhere is answered 404', async () => {
    for (const path of ['/', '/ws/', '/wss', '/WS']) expect((await server.refused({}, path)).status).toBe(404);
  });

  test('to another protocol is an ordinary request', async () => {
    const response = await new Promise<string>((resolve) => {
      const socket = connectTcp(server.port, '127.0.0.1');
      socket.on('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n');
    });
    expect(response).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*plain/);
  });

  test('that is malformed is answered 400', async () => {
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.write('GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [data] = await once(socket, 'data');
    socket.destroy();
    expect(String(data)).toMatch(/^HTTP\/1\.1 400 [\s\S]*bad-request/);
  });

  test('beyond the connections that there may be is answered 503, until one ends', async () => {
    await restart({ ws: { limits: { maxConnections: 2 } } });
    const first = await server.connect();
    await server.connect();
    const { status, headers } = await server.refused();
    expect([status, headers['retry-after']]).toEqual([503, '10']);
    first.socket.close();
    await first.isClosed();
    await vi.waitFor(() => server.connect(), { timeout: 5000 });
  });
});

describe('messages', () => {
  test('are answered by their id, in order', async () => {
    await server.streams.create({ id: 'a' });
    const client = await server.connect();
    for (let id = 0; id < 20; id++) client.socket.send(JSON.stringify({ id, type: 'subscribe', topic: 'stream:a' }));
    await client.hears(({ id }) => id === 19);
    expect(client.heard.map(({ id, ok }) => [id, ok])).toEqual(Array.from({ length: 20 }, (_, id) => [id, true]));
  });

  test('without an id are answered only when something is wrong', async () => {
    const client = await server.connect();
    client.socket.send(JSON.stringify({ type: 'auth', token: 'x' }));
    client.socket.send(JSON.stringify({ type: 'nothing' }));
    await client.hears(({ ok }) => ok === false);
    expect(client.heard).toEqual([
      {
        id: null,
        ok: false,
        error: { code: 'bad-request', message: expect.stringMatching(/^type: must be one of auth,/) },
      },
    ]);
  });

  test.each<[unknown, RegExp]>([
    [{ type: 'subscribe' }, /^topic: /],
    [{ type: 'subscribe', topic: 'a b' }, /^topic: must be stream:ID/],
    [{ type: 'auth', token: '' }, /^token: /],
    [{ type: 'rtc.createTransport', stream: 'a', direction: 'both' }, /^direction: must be one of send, recv/],
    [{ type: 'rtc.connect', transport: 'x', dtlsParameters: { fingerprints: [] } }, /^dtlsParameters\.fingerprints: /],
    [{ type: 'rtc.consume', stream: 'a', kind: 'text', rtpCapabilities: {} }, /^kind: /],
    [{ type: 'rtc.close' }, /must name one/],
    [{ type: 'rtc.close', transport: 'x', consumer: 'y' }, /must name one/],
    [{ type: 'constructor' }, /^type: must be one of/],
    [{ type: '__proto__' }, /^type: must be one of/],
  ])('%j is refused with what is wrong', async (message, problem) => {
    const client = await server.connect();
    const answer = await client.request(message as Record<string, unknown>);
    expect(answer).toEqual({
      ...{ id: 'r1', ok: false },
      error: { code: 'bad-request', message: expect.stringMatching(problem) },
    });
  });

  test('too many in a second end the connection', async () => {
    await restart({ ws: { limits: { messagesPerSecond: 10 } } });
    const client = await server.connect();
    for (let id = 0; id < 30; id++) client.socket.send(JSON.stringify({ id, type: 'auth', token: 'x' }));
    expect((await client.isClosed()).code).toBe(1008);
    expect(client.heard.length).toBeLessThanOrEqual(10);
  });

  test('too long end the connection, and no other', async () => {
    const [one, other] = [await server.connect(), await server.connect()];
    one.socket.send(JSON.stringify({ type: 'auth', token: 'x'.repeat(70_000) }));
    expect((await one.isClosed()).code).toBe(1009);
    expect((await other.request({ type: 'auth', token: 'x' })).ok).toBe(true);
  });

  test('that make us fail tell nothing, and the log has the reason', async () => {
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'rtc.capabilities', stream: 'a' });
    server.sfu.stream('a').peers[0]!.refusal = new Error('cannot open /srv/secret');
    const answer = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    expect(answer.error).toEqual({ code: 'internal', message: 'the server failed' });
    expect(server.logged.join()).toContain('/srv/secret');
  });
});

describe('a subscription', () => {
  test('tells how the stream is, and every change of it', async () => {
    await server.streams.create({ id: 'a' });
    const client = await server.connect();
    const answer = await client.request({ type: 'subscribe', topic: 'stream:A' });
    expect(answer).toEqual({ id: 'r1', ok: true, topic: 'stream:a', state: 'idle', reason: null });
    server.sfu.stream('a').goLive();
    await client.hears(({ state }) => state === 'live');
    expect(client.events('stream.state')).toEqual([
      { type: 'stream.state', stream: 'a', state: 'starting', from: 'idle', reason: 'a publisher came' },
      { type: 'stream.state', stream: 'a', state: 'live', from: 'starting', reason: null },
    ]);
  });

  test('tells figures and faces, without thumbnails', async () => {
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: 'stream:a' });
    server.sfu.stream('a').tellStats();
    server.sfu.stream('a').tellFaces([fakeFace(3)]);
    expect(await client.hears(({ type }) => type === 'stream.stats')).toEqual({
      ...{ type: 'stream.stats', stream: 'a', stats: FAKE_STATS },
    });
    const face = { track: 3, box: [30, 20, 30, 40], score: 0.9, identity: null, visible: false, reason: 'policy' };
    expect(await client.hears(({ type }) => type === 'stream.faces')).toEqual({
      ...{ type: 'stream.faces', stream: 'a', faces: [face] },
    });
  });

  test('made twice tells once, and ended tells nothing more', async () => {
    await liveStream('a');
    const stream = server.sfu.stream('a');
    const client = await server.connect();
    for (let i = 0; i < 2; i++) await client.request({ type: 'subscribe', topic: 'stream:a' });
    expect(stream.observers.size).toBe(1);
    await client.request({ type: 'unsubscribe', topic: 'stream:a' });
    expect(stream.observers.size).toBe(0);
    expect((await client.request({ type: 'unsubscribe', topic: 'stream:a' })).ok).toBe(true);
  });

  test('ends with the connection', async () => {
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: 'stream:a' });
    client.socket.terminate();
    await vi.waitFor(() => expect(server.sfu.stream('a').observers.size).toBe(0));
  });

  test('hears the end of a stream that is erased, and not of one of the same name', async () => {
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: 'stream:a' });
    await server.streams.remove('a');
    await client.hears(({ reason }) => reason === 'the stream was deleted');
    expect(client.events('stream.state').at(-1)).toEqual({
      ...{ type: 'stream.state', stream: 'a', state: 'idle', from: 'live', reason: 'the stream was deleted' },
    });
    await liveStream('a');
    expect(server.sfu.stream('a').observers.size).toBe(0);
    expect((await client.request({ type: 'subscribe', topic: 'stream:a' })).state).toBe('live');
  });

  test.each([
    ['stream:nobody', 'stream-not-found'],
    ['job:x', 'not-found'],
    ['video:x', 'not-found'],
  ])('to %s is refused', async (topic, code) => {
    const client = await server.connect();
    expect((await client.request({ type: 'subscribe', topic })).error.code).toBe(code);
  });

  test('is one of a bounded number', async () => {
    await restart({ ws: { limits: { maxSubscriptions: 2 } } });
    for (const id of ['a', 'b', 'c']) await server.streams.create({ id });
    const client = await server.connect();
    const ask = (id: string) => client.request({ type: 'subscribe', topic: `stream:${id}` });
    expect([(await ask('a')).ok, (await ask('b')).ok, (await ask('c')).error.code]).toEqual([true, true, 'too-many']);
    await client.request({ type: 'unsubscribe', topic: 'stream:a' });
    expect((await ask('c')).ok).toBe(true);
  });
});

describe('a slow client', () => {
  const big = Array.from({ length: 500 }, (_, track) => fakeFace(track));
  /** A message of faces is about 50 kB: what the system's own buffers take is long passed after so many. */
  const ROUNDS = 2000;

  test('has events dropped, not kept, and is ended when a change of state can’t be told', async () => {
    await restart({ ws: { limits: { maxBufferedBytes: 65_536 } } });
    await liveStream('a');
    const stream = server.sfu.stream('a');
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: 'stream:a' });
    client.socket.pause();
    const before = process.memoryUsage();
    for (let i = 0; i < ROUNDS; i++) {
      stream.tellFaces(big);
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const after = process.memoryUsage();
    // All rounds together are 100 MB; a bounded buffer is nowhere near.
    expect(after.external + after.arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(50_000_000);
    stream.move('draining', 'the publisher left');
    client.socket.resume();
    expect((await client.isClosed()).code).toBe(1013);
    expect(client.events('stream.faces').length).toBeLessThan(ROUNDS / 2);
  });

  test('that stays over its bound is ended', async () => {
    await restart({ ws: { limits: { maxBufferedBytes: 65_536, silenceMs: 600 } } });
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: 'stream:a' });
    client.socket.pause();
    for (let i = 0; i < ROUNDS; i++) server.sfu.stream('a').tellFaces(big);
    await vi.waitFor(() => expect(server.sfu.stream('a').observers.size).toBe(0), { timeout: 5000 });
  });
});

describe('a silent client', () => {
  test('that answers pings stays', async () => {
    await restart({ ws: { limits: { silenceMs: 300 } } });
    const client = await server.connect();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await client.request({ type: 'auth', token: 'x' })).ok).toBe(true);
  });

  test('that does not is ended, with all it made', async () => {
    await restart({ ws: { limits: { silenceMs: 300 } } });
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'rtc.capabilities', stream: 'a' });
    client.socket.pause();
    await vi.waitFor(() => expect(server.sfu.stream('a').peers[0]!.closed).toBe(true), { timeout: 5000 });
  });
});

describe('WebRTC', () => {
  test('is published by who has the key', async () => {
    const { key } = await server.streams.create({ id: 'a' });
    const client = await server.connect();
    const { rtpCapabilities } = await client.request({ type: 'rtc.capabilities', stream: 'a' });
    expect(rtpCapabilities).toEqual({ codecs: [], headerExtensions: [] });
    const made = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    expect(made).toMatchObject({ ok: true, transport: { iceParameters: { iceLite: true }, iceCandidates: [] } });
    const transport = made.transport.id;
    expect(await client.request({ type: 'rtc.connect', transport, dtlsParameters: DTLS_PARAMETERS })).toEqual({
      ...{ id: 'r3', ok: true },
    });
    const produced = await client.request({
      ...{ type: 'rtc.produce', transport, kind: 'video', rtpParameters: RTP_PARAMETERS, key },
    });
    expect(produced).toEqual({ id: 'r4', ok: true, producer: expect.stringContaining('producer-a') });
    const [peer] = server.sfu.stream('a').peers;
    expect(peer!.calls).toEqual([
      ['createTransport', 'send', false],
      ['connect', transport, DTLS_PARAMETERS],
      ['produce', transport, 'video', RTP_PARAMETERS],
    ]);
  });

  test('is not published by who has none, and the SFU does not hear of it', async () => {
    const other = await liveStream('b');
    const { key } = await server.streams.create({ id: 'a' });
    const old = key;
    await server.streams.rotateKey('a');
    const client = await server.connect();
    const { transport } = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    const message = { type: 'rtc.produce', transport: transport.id, kind: 'video', rtpParameters: RTP_PARAMETERS };
    for (const wrong of ['x', other, old]) {
      expect((await client.request({ ...message, key: wrong })).error.code).toBe('unauthorized');
    }
    expect((await client.request(message)).error.code).toBe('bad-request');
    expect(server.sfu.stream('a').peers[0]!.calls).toHaveLength(1);
    expect(server.logged.join()).not.toContain(other);
  });

  test('is watched', async () => {
    await liveStream('a');
    const client = await server.connect();
    const { transport } = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'recv' });
    await client.request({ type: 'rtc.connect', transport: transport.id, dtlsParameters: DTLS_PARAMETERS });
    const { consumer } = await client.request({
      ...{ type: 'rtc.consume', stream: 'a', kind: 'video', rtpCapabilities: RTP_CAPABILITIES },
    });
    expect(consumer).toEqual({
      ...{
        id: expect.stringContaining('consumer-a'),
        producerId: 'redacted',
        kind: 'video',
        rtpParameters: { codecs: [] },
      },
    });
    expect((await client.request({ type: 'rtc.resume', consumer: consumer.id })).ok).toBe(true);
    expect((await client.request({ type: 'rtc.close', consumer: consumer.id })).ok).toBe(true);
    expect((await client.request({ type: 'rtc.resume', consumer: consumer.id })).error.code).toBe('not-found');
    const [peer] = server.sfu.stream('a').peers;
    expect(peer!.calls.slice(2)).toEqual([
      ['consume', 'video', RTP_CAPABILITIES, false],
      ['resume', consumer.id],
      ['closePart', consumer.id],
    ]);
  });

  test('of a stream that is not live, or not there, is refused', async () => {
    await server.streams.create({ id: 'a' });
    const client = await server.connect();
    const ask = (stream: string) => client.request({ type: 'rtc.createTransport', stream, direction: 'recv' });
    expect((await ask('a')).error.code).toBe('stream-not-live');
    expect((await ask('nobody')).error.code).toBe('stream-not-found');
  });

  test('parts of another connection are not there', async () => {
    const key = await liveStream('a');
    const [one, other] = [await server.connect(), await server.connect()];
    const { transport } = await one.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    await other.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    const produce = { type: 'rtc.produce', kind: 'video', rtpParameters: RTP_PARAMETERS, key };
    const { producer } = await one.request({ ...produce, transport: transport.id });
    for (const message of [
      { type: 'rtc.connect', transport: transport.id, dtlsParameters: DTLS_PARAMETERS },
      { ...produce, transport: transport.id },
      { type: 'rtc.close', transport: transport.id },
      { type: 'rtc.close', producer },
      { type: 'rtc.resume', consumer: producer },
    ]) {
      expect((await other.request(message)).error.code).toBe('not-found');
    }
    expect(server.sfu.stream('a').peers.map(({ calls }) => calls.length)).toEqual([2, 1]);
  });

  test('is unblurred only for operators, and only where that is switched on', async () => {
    await liveStream('a');
    const ask = async () => {
      const client = await server.connect();
      const transport = await client.request({
        type: 'rtc.createTransport',
        stream: 'a',
        direction: 'recv',
        raw: true,
      });
      const consume = { type: 'rtc.consume', stream: 'a', kind: 'video', rtpCapabilities: RTP_CAPABILITIES, raw: true };
      return [transport, await client.request(consume)];
    };
    for (const answer of await ask()) expect(answer.error.code).toBe('forbidden');
    expect(server.sfu.stream('a').peers).toEqual([]);
    await restart({ ws: { rawPreview: true } });
    await liveStream('a');
    for (const answer of await ask()) expect(answer.ok).toBe(true);
    expect(server.sfu.stream('a').peers[0]!.calls.at(-1)).toEqual(['consume', 'video', RTP_CAPABILITIES, true]);
    const { token } = (await server.call('POST', '/v1/streams/a/play-tokens')).body;
    const client = await server.connect();
    await client.request({ type: 'auth', token });
    const raw = { type: 'rtc.createTransport', stream: 'a', direction: 'recv', raw: true };
    expect((await client.request(raw)).error.code).toBe('forbidden');
  });

  test('ends with the connection, and the connection hears when it ends', async () => {
    await liveStream('a');
    await liveStream('b');
    const client = await server.connect();
    for (const stream of ['a', 'b']) {
      await client.request({ type: 'rtc.createTransport', stream, direction: 'recv' });
    }
    server.sfu.stream('a').peers[0]!.end('the media server died');
    await client.hears(({ type }) => type === 'rtc.closed');
    expect(client.events('rtc.closed')).toEqual([{ type: 'rtc.closed', stream: 'a', reason: 'the media server died' }]);
    await client.request({ type: 'rtc.capabilities', stream: 'a' });
    expect(server.sfu.stream('a').peers).toHaveLength(2);
    client.socket.terminate();
    await vi.waitFor(() => {
      expect([server.sfu.stream('a').peers[1]!.closed, server.sfu.stream('b').peers[0]!.closed]).toEqual([true, true]);
    });
  });

  test('is left stream by stream', async () => {
    await liveStream('a');
    const client = await server.connect();
    const { transport } = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'recv' });
    expect((await client.request({ type: 'rtc.close', stream: 'a' })).ok).toBe(true);
    expect(server.sfu.stream('a').peers[0]!.closed).toBe(true);
    const connect = { type: 'rtc.connect', transport: transport.id, dtlsParameters: DTLS_PARAMETERS };
    expect((await client.request(connect)).error.code).toBe('not-found');
    expect((await client.request({ type: 'rtc.close', stream: 'a' })).error.code).toBe('not-found');
    expect(client.events('rtc.closed')).toEqual([]);
  });

  test('refusals of the SFU are told by the contract’s codes', async () => {
    await liveStream('a');
    const client = await server.connect();
    await client.request({ type: 'rtc.capabilities', stream: 'a' });
    const [peer] = server.sfu.stream('a').peers;
    for (const [code, told] of [
      ['too-many', 'too-many'],
      ['bad-parameters', 'bad-request'],
      ['no-compatible-codec', 'no-common-codec'],
      ['worker-died', 'not-ready'],
    ] as const) {
      peer!.refusal = new SfuError(code, 'because');
      const answer = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'recv' });
      expect(answer.error).toEqual({ code: told, message: 'because' });
    }
  });

  test('is one of a bounded number of streams', async () => {
    await restart({ ws: { limits: { maxPeers: 2 } } });
    for (const id of ['a', 'b', 'c']) await liveStream(id);
    const client = await server.connect();
    const ask = (stream: string) => client.request({ type: 'rtc.capabilities', stream });
    expect([(await ask('a')).ok, (await ask('b')).ok, (await ask('c')).error.code]).toEqual([true, true, 'too-many']);
  });
});

describe('a play token', () => {
  test('lets its viewer see its stream, without faces, and no other', async () => {
    await liveStream('a');
    await liveStream('b');
    const { token } = (await server.call('POST', '/v1/streams/a/play-tokens')).body;
    const client = await server.connect();
    expect(await client.request({ type: 'auth', token })).toEqual({ id: 'r1', ok: true });
    expect((await client.request({ type: 'subscribe', topic: 'stream:a' })).ok).toBe(true);
    expect((await client.request({ type: 'subscribe', topic: 'stream:b' })).error.code).toBe('forbidden');
    const recv = { type: 'rtc.createTransport', direction: 'recv' };
    expect((await client.request({ ...recv, stream: 'a' })).ok).toBe(true);
    expect((await client.request({ ...recv, stream: 'b' })).error.code).toBe('forbidden');
    server.sfu.stream('a').tellFaces([fakeFace(1)]);
    server.sfu.stream('a').tellStats();
    await client.hears(({ type }) => type === 'stream.stats');
    expect(client.events('stream.faces')).toEqual([]);
  });

  test('is what a client needs where others reach us', async () => {
    await liveStream('a');
    const { token } = (await server.call('POST', '/v1/streams/a/play-tokens')).body;
    const { store, tokens } = server;
    await restart({ store, bind: '192.0.2.1' });
    for (const [hash, row] of tokens.rows) server.tokens.rows.set(hash, row);
    const client = await server.connect();
    const ask = () => client.request({ type: 'subscribe', topic: 'stream:a' });
    expect((await ask()).error.code).toBe('unauthorized');
    await client.request({ type: 'auth', token });
    expect((await ask()).ok).toBe(true);
  });
});

test('the end of the server says goodbye, and cuts off who does not answer', async () => {
  await liveStream('a');
  const [polite, deaf] = [await server.connect(), await server.connect()];
  for (const client of [polite, deaf]) await client.request({ type: 'rtc.capabilities', stream: 'a' });
  deaf.socket.pause();
  const before = performance.now();
  await server.ws.close();
  // Goodbyes wait for a second; a deaf client must not hold the server up for longer.
  expect(performance.now() - before).toBeLessThan(3000);
  expect((await polite.isClosed()).code).toBe(1001);
  expect(server.sfu.stream('a').peers.map(({ closed }) => closed)).toEqual([true, true]);
  expect(server.http.listenerCount('upgrade')).toBe(0);
});
