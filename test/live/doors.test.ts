import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ReceivedFrame } from '../../bench/received-video.ts';
import { openWhipSession } from '../../sfu/webrtc/whip.ts';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { LiveRig, until } from './live-rig.ts';
import { LiveServer, type MadeStream } from './live-server.ts';
import { WhipPublisher } from './whip-publisher.ts';

let rig: LiveRig;

beforeAll(async () => {
  rig = await LiveRig.create();
});

afterAll(() => rig?.close());

describe.skipIf(!hasFfmpeg)('what comes in raw', () => {
  test('would be told by the measure: it reads nearly every face of what is published', async () => {
    const coded = await rig.coded('vp8');
    const frames = coded.video.map(
      ({ data, pts, isKeyframe }): ReceivedFrame => ({ data, rtpTimestamp: pts, isKeyframe, atMs: 0 }),
    );
    const figures = await rig.leaksIn(frames, 'vp8');
    expect(figures.leaked).toBeGreaterThan(0.9 * figures.faceFrames);
  });

  test('is on no router that viewers reach: not even mediasoup itself can give it to them', async () => {
    const stream = rig.stream('doors');
    let raw = { video: '', audio: '' };
    const publisher = await WhipPublisher.publish({ clip: await rig.coded('vp8') }, async (offer) => {
      const { session, source } = await openWhipSession(offer, rig.sfu.workers);
      raw = { video: source.producerId('video')!, audio: source.producerId('audio')! };
      await stream.publishSource(source);
      return session.answer;
    });
    await until('the stream to be live', () => stream.state === 'live');
    const group = await stream.output!.group(null);
    const { rtpCapabilities } = group.router;
    const transport = await group.createTransport({ iceConsentTimeout: 5 });
    for (const producerId of Object.values(raw)) {
      expect(producerId).not.toBe('');
      expect(group.router.canConsume({ producerId, rtpCapabilities })).toBe(false);
      await expect(transport.consume({ producerId, rtpCapabilities })).rejects.toThrow();
    }
    await publisher.close();
    await stream.close();
  });

  test('is not given to a peer that asks for it while RAW_PREVIEW is off', async () => {
    const stream = rig.stream('preview');
    await rig.publish(stream, 'vp8');
    await until('the stream to be live', () => stream.state === 'live');
    const peer = stream.createPeer();
    await expect(peer.createTransport('recv', true)).rejects.toMatchObject({ code: 'not-live' });
    await expect(peer.consume('video', peer.capabilities, true)).rejects.toMatchObject({ code: 'not-found' });
    // What it gets is the redacted producer, whatever it asks for.
    await peer.createTransport('recv');
    const consumer = await peer.consume('video', peer.capabilities);
    await expect(peer.closePart(consumer.producerId)).rejects.toMatchObject({ code: 'not-found' });
    await peer.close();
    await stream.close();
  });
});

describe.skipIf(!hasFfmpeg)('every door of the server', () => {
  let server: LiveServer;
  let stream: MadeStream;
  let publisher: WhipPublisher;

  beforeAll(async () => {
    server = await LiveServer.start();
    stream = await server.makeStream({ id: 'doors' });
    const clip = await rig.coded('vp8');
    publisher = await WhipPublisher.publish({ clip }, async (offer) => {
      const headers = { 'content-type': 'application/sdp', authorization: `Bearer ${stream.key}` };
      return (await fetch(stream.publish.whip, { method: 'POST', body: offer, headers })).text();
    });
    await server.untilLive(stream.id);
  });

  afterAll(async () => {
    await publisher?.close();
    await server?.close();
  });

  test.each([
    // A stream that serves no HLS.
    ['/hls/doors/index.m3u8', 409],
    ['/hls/doors/raw.m3u8', 404],
    ['/live/doors', 404],
    ['/live/doors.flv', 404],
    ['/recordings/doors', 404],
    ['/recordings/doors/index.m3u8', 404],
  ])('%s leads nowhere', async (path, status) => {
    const response = await fetch(`${server.server.url}${path}`);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toMatch(/application\/json/);
  });

  test('WHEP to a stream that nobody publishes is answered 409 and when to come again', async () => {
    const idle = await server.makeStream();
    const headers = { 'content-type': 'application/sdp' };
    const response = await fetch(idle.play.whep, { method: 'POST', body: 'v=0\r\n', headers });
    expect(response.status).toBe(409);
    expect(response.headers.get('retry-after')).toBe('1');
  });

  test('a play token opens watching its stream, and nothing of operating it', async () => {
    const { body } = await server.call('POST', '/v1/streams/doors/play-tokens', {});
    const headers = { authorization: `Bearer ${(body as { token: string }).token}` };
    const base = `${server.server.url}/v1/streams`;
    for (const path of ['', '/doors', '/doors/faces']) {
      expect((await fetch(`${base}${path}`, { headers })).status).toBe(403);
    }
    for (const path of ['/doors/key', '/doors/play-tokens']) {
      expect((await fetch(`${base}${path}`, { method: 'POST', headers })).status).toBe(403);
    }
    expect((await fetch(`${base}/doors`, { method: 'DELETE', headers })).status).toBe(403);
  });

  test('a socket that names the raw producer, or asks for raw, gets neither', async () => {
    const ask = await openSocket(server);
    const { rtpCapabilities } = await ask({ type: 'rtc.capabilities', stream: 'doors' });
    const raw = await ask({ type: 'rtc.createTransport', stream: 'doors', direction: 'recv', raw: true });
    expect(raw).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    expect(await ask({ type: 'rtc.createTransport', stream: 'doors', direction: 'recv' })).toMatchObject({ ok: true });
    const consume = { type: 'rtc.consume', stream: 'doors', kind: 'video', rtpCapabilities };
    expect(await ask({ ...consume, raw: true })).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    const { consumer } = await ask({ ...consume, producerId: 'anything', producer: 'anything' });
    expect((consumer as { producerId: string }).producerId).not.toBe('anything');
    // Nothing of another's can be closed, resumed or connected by guessing.
    for (const type of ['rtc.resume', 'rtc.close']) {
      expect(await ask({ type, consumer: '00000000-0000-0000-0000-000000000000' })).toMatchObject({ ok: false });
    }
    ask.close();
  });

  test('a socket that sends without the key publishes nothing', async () => {
    const ask = await openSocket(server);
    const { transport } = await ask({ type: 'rtc.createTransport', stream: 'doors', direction: 'send' });
    const rtpParameters = {
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }],
      encodings: [{ ssrc: 77 }],
    };
    const produce = { type: 'rtc.produce', transport: (transport as { id: string }).id, kind: 'video', rtpParameters };
    expect(await ask({ ...produce, key: 'sk_wrong' })).toMatchObject({ ok: false, error: { code: 'unauthorized' } });
    expect(await ask(produce)).toMatchObject({ ok: false });
    expect(await server.state('doors')).toBe('live');
    ask.close();
  });
});

type Ask = ((message: object) => Promise<Record<string, unknown>>) & { close(): void };

async function openSocket(server: LiveServer): Promise<Ask> {
  const socket = new WebSocket(`${server.server.url.replace('http', 'ws')}/ws`);
  const waiting = new Map<number, (reply: Record<string, unknown>) => void>();
  socket.on('message', (data) => {
    const reply = JSON.parse(String(data)) as Record<string, unknown>;
    waiting.get(reply.id as number)?.(reply);
  });
  await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let next = 1;
  const ask = (message: object) =>
    new Promise<Record<string, unknown>>((resolve) => {
      const id = next++;
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, ...message }));
    });
  return Object.assign(ask, { close: () => socket.close() });
}
