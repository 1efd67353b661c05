import { getSupportedRtpCapabilities } from 'mediasoup';
import { Device } from 'mediasoup-client';
import * as fakeParameters from 'mediasoup-client/fakeParameters';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cameraTrack, startWsServer, type WsServer } from './ws-server.ts';

let server: WsServer;
beforeEach(async () => {
  server = await startWsServer();
});
afterEach(() => server.close());

/** JSON as it went over the wire. */
const wired = (value: unknown) => JSON.parse(JSON.stringify(value));

test('what mediasoup-client says of its media reaches the SFU, without what mediasoup does not know', async () => {
  const { key } = await server.streams.create({ id: 'a' });
  const stream = server.sfu.stream('a');
  const { codecs = [], ...supported } = getSupportedRtpCapabilities();
  // A router names the payload types that it prefers.
  stream.capabilities = {
    ...supported,
    codecs: codecs.map((codec, index) => ({ preferredPayloadType: 96 + index, ...codec })),
  };
  stream.goLive();
  const client = await server.connect();

  const device = new Device({ handlerFactory: FakeHandler.createFactory(fakeParameters) });
  const { rtpCapabilities: routerRtpCapabilities } = await client.request({ type: 'rtc.capabilities', stream: 'a' });
  await device.load({ routerRtpCapabilities });
  const made = await client.request({ type: 'rtc.createTransport', stream: 'a', direction: 'send' });
  const transport = device.createSendTransport(made.transport);
  const sent: unknown[] = [];
  transport.on('connect', async ({ dtlsParameters }, done, fail) => {
    sent.push(['connect', transport.id, wired(dtlsParameters)]);
    const { ok, error } = await client.request({ type: 'rtc.connect', transport: transport.id, dtlsParameters });
    ok ? done() : fail(new Error(error.message));
  });
  transport.on('produce', async ({ kind, rtpParameters }, done, fail) => {
    // `mux` is the client library's own.
    const { mux: _, ...rtcp } = wired(rtpParameters.rtcp);
    sent.push(['produce', transport.id, kind, { ...wired(rtpParameters), rtcp }]);
    const message = { type: 'rtc.produce', transport: transport.id, kind, rtpParameters, key };
    const { ok, producer, error } = await client.request(message);
    ok ? done({ id: producer }) : fail(new Error(error.message));
  });
  const video = await transport.produce({ track: cameraTrack('video') });
  const audio = await transport.produce({ track: cameraTrack('audio') });
  expect([video.id, audio.id]).toEqual([expect.stringContaining('producer-a'), expect.stringContaining('producer-a')]);

  const { rtpCapabilities } = device;
  expect(rtpCapabilities.codecs?.length).toBeGreaterThan(1);
  for (const kind of ['audio', 'video'] as const) {
    sent.push(['consume', kind, wired(rtpCapabilities), false]);
    expect((await client.request({ type: 'rtc.consume', stream: 'a', kind, rtpCapabilities })).ok).toBe(true);
  }
  expect(stream.peers[0]!.calls.slice(1)).toEqual(sent);
  transport.close();
});
