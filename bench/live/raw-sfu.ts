import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import type { types } from 'mediasoup';
import { pino } from 'pino';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { buildAnswer } from '../../sfu/sdp/answer.ts';
import { readViewOffer, viewRouterCodecs, viewSections } from '../../sfu/sdp/whep-offer.ts';
import { publishSections, readPublishOffer } from '../../sfu/sdp/whip-offer.ts';
import { defaultWorkerBinaryLocation, workerBinaryPath } from '../../sfu/worker-binary/locate.ts';
import { Workers } from '../../sfu/workers.ts';

/**
 * The SFU alone: the same media server, worker and SDP as the gateway's, with viewers consuming what the publisher sends.
 * `POST /prepare/{codec}` takes a viewer's offer first, as payload types are a router's and a viewer's offer fixes them.
 */
const workers = await Workers.create({
  workerBin: workerBinaryPath(defaultWorkerBinaryLocation(process.env)),
  count: 1,
  host: '127.0.0.1',
  port: 0,
  announcedAddress: null,
  log: pino({ level: 'warn' }, pino.destination(2)),
});

interface Room {
  readonly codec: VideoCodec;
  readonly router: types.Router;
  readonly producers: Map<types.MediaKind, types.Producer>;
}
const rooms: Room[] = [];

function room(): Room {
  const latest = rooms.at(-1);
  if (!latest) throw new Error('prepare comes first');
  return latest;
}

function transportOf({ router }: Room): Promise<types.WebRtcTransport> {
  const { webRtcServer } = workers.pick();
  return router.createWebRtcTransport({ webRtcServer, initialAvailableOutgoingBitrate: 2_000_000 });
}

const app = new Hono();
app.get('/healthz', (c) => c.json({ status: 'ok' }));
app.post('/prepare/:codec', async (c) => {
  const codec = c.req.param('codec') as VideoCodec;
  const mediaCodecs = viewRouterCodecs(readViewOffer(await c.req.text(), { video: codec, audio: true }), codec);
  rooms.push({ codec, router: await workers.pick().worker.createRouter({ mediaCodecs }), producers: new Map() });
  return c.body(null, 204);
});
app.post('/whip/:id', async (c) => {
  const { router, producers } = room();
  const offer = readPublishOffer(await c.req.text(), router.rtpCapabilities);
  const transport = await transportOf(room());
  await transport.connect({ dtlsParameters: offer.dtlsParameters });
  for (const kind of ['video', 'audio'] as const) {
    const track = offer[kind];
    if (track) producers.set(kind, await transport.produce({ kind, rtpParameters: track.rtpParameters }));
  }
  return c.text(buildAnswer({ offer, transport, sections: publishSections(offer) }), 201);
});
app.post('/whep/:id', async (c) => {
  const { codec, producers } = room();
  const offer = readViewOffer(await c.req.text(), { video: codec, audio: producers.has('audio') });
  const transport = await transportOf(room());
  await transport.connect({ dtlsParameters: offer.dtlsParameters });
  const consume = async (kind: types.MediaKind) => {
    const producer = producers.get(kind);
    const track = offer[kind];
    if (!producer || !track) return null;
    const { rtpCapabilities, mid } = track;
    return (await transport.consume({ producerId: producer.id, rtpCapabilities, mid })).rtpParameters;
  };
  const sent = { audio: await consume('audio'), video: await consume('video') };
  return c.text(buildAnswer({ offer, transport, sections: viewSections(offer, sent, randomUUID()) }), 201);
});

const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`SFU alone on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => {
  workers.close();
  server.close();
  process.exit(0);
});
