import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fakeFace } from '../fake-sfu.ts';
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
