import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Device } from 'mediasoup-client';
import * as fakeParameters from 'mediasoup-client/fakeParameters';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Database } from '../../../gateway/database/database.ts';
import { InferenceError } from '../../../inference/errors.ts';
import { Sfu } from '../../../sfu/sfu.ts';
import { defaultWorkerBinaryLocation, workerBinaryPath } from '../../../sfu/worker-binary/locate.ts';
import { ODD_VALUES, seededRandom, withOneChange } from './malformed-messages.ts';
import { DTLS_PARAMETERS, RTP_CAPABILITIES, RTP_PARAMETERS } from './rtc-samples.ts';
import { cameraTrack, startWsServer, type WsClient, type WsServer } from './ws-server.ts';

/** Messages of each type that goes to the media server. */
const CHANGED_MESSAGES = 200;

const log = pino({ level: 'silent' });
let folder: string;
let database: Database;
let sfu: Sfu;
let server: WsServer;

/** The gateway's streams over the real media server and the real database; only pictures are not made. */
async function start(): Promise<void> {
  database = await Database.open({ dataDir: folder, databaseUrl: null, log });
  sfu = await Sfu.create({
    workerBin: workerBinaryPath(defaultWorkerBinaryLocation(process.env)),
    ...{
      count: 1,
      host: '127.0.0.1',
      port: 0,
      announcedAddress: null,
      rawPreview: false,
      allowPrivate: false,
      graceMs: 100,
      log,
    },
    makeEngine: async () => {
      throw new InferenceError('child-died', 'no engine in this test');
    },
  });
  server = await startWsServer({
    streams: { sfu, store: database.streams },
    ws: { limits: { messagesPerSecond: 1_000_000 } },
  });
}

async function stop(): Promise<void> {
  await server.close();
  await sfu.close();
  await database.close();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-media-server-'));
  await start();
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

test('a mediasoup-client publishes, and the stream is told to start', async () => {
  const { key } = (await server.call('POST', '/v1/streams', { id: 'a' })).body;
  const client = await server.connect();
  await client.request({ type: 'subscribe', topic: 'stream:a' });
  const device = new Device({ handlerFactory: FakeHandler.createFactory(fakeParameters) });
  const { rtpCapabilities } = await client.request({ type: 'rtc.capabilities', stream: 'a' });
  await device.load({ routerRtpCapabilities: rtpCapabilities });
  const made = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
  const transport = device.createSendTransport(made.transport);
  const asked = async (message: Record<string, unknown>) => {
    const answer = await client.request({ ...message, transport: transport.id });
    if (!answer.ok) throw new Error(`${message.type}: ${answer.error.code} ${answer.error.message}`);
    return answer;
  };
  transport.on('connect', ({ dtlsParameters }, done, fail) => {
    // The fake's fingerprint is no hash; the media server looks at that.
    const { fingerprints } = DTLS_PARAMETERS;
    asked({ type: 'rtc.connect', dtlsParameters: { ...dtlsParameters, fingerprints } }).then(done, fail);
  });
  transport.on('produce', ({ kind, rtpParameters }, done, fail) => {
    asked({ type: 'rtc.produce', kind, rtpParameters, key }).then(({ producer }) => done({ id: producer }), fail);
  });
  await transport.produce({ track: cameraTrack('audio') });
  await transport.produce({ track: cameraTrack('video') });
  await client.hears(({ type, state }) => type === 'stream.state' && state === 'starting');
  expect((await server.call('GET', '/v1/streams/a')).body.state).not.toBe('idle');
  transport.close();
  expect((await client.request({ type: 'rtc.close', stream: 'a' })).ok).toBe(true);
  await client.hears(({ type, state }) => type === 'stream.state' && state === 'idle');
});

test('what is odd within a well-formed message is refused as the client’s fault, and the media server lives', async () => {
  const { key } = (await server.call('POST', '/v1/streams', { id: 'a' })).body;
  const random = seededRandom(5);
  const [pid] = sfu.workers.pids;
  const refusals = new Map<string, number>();
  const count = ({ ok, error }: { ok: boolean; error?: { code: string } }) => {
    const code = ok ? 'ok' : error!.code;
    refusals.set(code, (refusals.get(code) ?? 0) + 1);
  };
  const client: WsClient = await server.connect();
  for (let index = 0; index < CHANGED_MESSAGES; index++) {
    const { transport } = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
    const dtlsParameters = withOneChange(random, DTLS_PARAMETERS);
    count(await client.request({ type: 'rtc.connect', transport: transport.id, dtlsParameters }));
    const rtpParameters = withOneChange(random, RTP_PARAMETERS);
    const kind = index % 2 ? 'video' : 'audio';
    count(await client.request({ type: 'rtc.produce', transport: transport.id, kind, rtpParameters, key }));
    const rtpCapabilities = withOneChange(random, RTP_CAPABILITIES);
    count(await client.request({ type: 'rtc.consume', stream: 'a', kind, rtpCapabilities }));
    count(await client.request({ type: 'rtc.close', transport: ODD_VALUES[index % ODD_VALUES.length] }));
    await client.request({ type: 'rtc.close', stream: 'a' });
    client.heard.length = 0;
  }
  expect([...refusals.keys()].sort()).not.toContain('internal');
  expect(refusals.get('bad-request')).toBeGreaterThan(CHANGED_MESSAGES);
  expect(server.logged.filter((line) => line.includes('message failed'))).toEqual([]);
  expect([sfu.ready, sfu.workers.pids]).toEqual([true, [pid]]);
});

test('streams are there again after a restart, and their keys and tokens as they were', async () => {
  const made = (await server.call('POST', '/v1/streams', { id: 'a', policy: { strength: 0.9 }, record: true })).body;
  const rotated = (await server.call('POST', '/v1/streams/a/key')).body;
  await server.call('PATCH', '/v1/streams/a', { policy: { margin: 0 }, push: ['rtmp://target.example/live/x'] });
  const before = (await server.call('GET', '/v1/streams')).body;
  await stop();
  await start();
  expect((await server.call('GET', '/v1/streams')).body).toEqual(before);
  expect(before.items[0]).toMatchObject({
    record: true,
    policy: { strength: 0.9, margin: 0 },
    createdAt: made.createdAt,
  });
  expect([server.streams.verifyKey('a', made.key), server.streams.verifyKey('a', rotated.key)]).toEqual([false, true]);
  expect((await server.call('DELETE', '/v1/streams/a')).status).toBe(204);
  await stop();
  await start();
  expect((await server.call('GET', '/v1/streams')).body.items).toEqual([]);
});
