import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SfuError } from '../../../sfu/errors.ts';
import { fakeFace } from '../fake-sfu.ts';
import { DTLS_PARAMETERS, RTP_CAPABILITIES, RTP_PARAMETERS } from './rtc-samples.ts';
import { startWsServer, type WsServer, type WsServerOptions } from './ws-server.ts';

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

  test('goes on when one of its transports ends, and the connection hears which', async () => {
    await liveStream('a');
    const client = await server.connect();
    const { transport } = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'recv' });
    const [peer] = server.sfu.stream('a').peers;
    peer!.endTransport(transport.id, 'the stream ended');
    await client.hears(({ type }) => type === 'rtc.closed');
    expect(client.events('rtc.closed')).toEqual([
      { type: 'rtc.closed', stream: 'a', transport: transport.id, reason: 'the stream ended' },
    ]);
    expect((await client.request({ type: 'rtc.close', transport: transport.id })).error.code).toBe('not-found');
    expect((await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'recv' })).ok).toBe(true);
    expect(server.sfu.stream('a').peers).toHaveLength(1);
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
