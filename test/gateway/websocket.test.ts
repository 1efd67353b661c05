import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FAKE_STATS, fakeFace } from './fake-sfu.ts';
import { enrolPerson } from './identities/enrol.ts';
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

  test('tells operators who a face is, by name, until that person is erased; viewers hear of no faces', async () => {
    await liveStream('a');
    const ada = await enrolPerson(server, 'Ada');
    const token = await server.playTokens.make('a', new Date(Date.now() + 60_000));
    const [operator, viewer] = [await server.connect(), await server.connect()];
    await viewer.request({ type: 'auth', token });
    for (const client of [operator, viewer]) await client.request({ type: 'subscribe', topic: 'stream:a' });
    const stream = server.sfu.stream('a');
    const face = { ...fakeFace(3), identity: { id: ada, similarity: 0.97 } };
    stream.tellFaces([face]);
    await operator.hears(({ faces }) => faces?.[0].identity !== null);
    await server.identities.remove(ada);
    stream.tellFaces([face]);
    await operator.hears(({ faces }) => faces?.[0].identity === null);
    expect(operator.events('stream.faces').map(({ faces }) => faces[0].identity)).toEqual([
      { id: ada, name: 'Ada', similarity: 0.97 },
      null,
    ]);
    stream.tellStats();
    await viewer.hears(({ type }) => type === 'stream.stats');
    expect(JSON.stringify(viewer.heard)).not.toMatch(/Ada|stream\.faces|identity/);
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
