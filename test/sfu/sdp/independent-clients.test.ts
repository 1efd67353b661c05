import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { types } from 'mediasoup';
import { Demuxer, Log, Muxer } from 'node-av';
import { AV_LOG_FATAL } from 'node-av/constants';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket, useOPUS, useVP8 } from 'werift';
import { ffmpeg, hasFfmpeg } from '../../clips/ffmpeg.ts';
import { HAS_WORKER, MediaServer, type Published } from './media-server.ts';

/** Enough packets to say that media flows. */
const FLOWING = 20;
const PATIENCE = { timeout: 20_000, interval: 100 };
/** Packets are sent this often until enough of them have arrived. */
const PACKET_INTERVAL_MS = 10;

/** A VP8 payload descriptor of a frame's start (RFC 7741 §4.2), then a frame header whose first bit says keyframe. */
const VP8_KEYFRAME = Buffer.from([0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00, 0x00]);

describe.skipIf(!HAS_WORKER)('an independent client', () => {
  let media: MediaServer;
  const cleanups: (() => unknown)[] = [];
  beforeEach(async () => {
    media = await MediaServer.create();
    cleanups.push(() => media.close());
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  test.skipIf(!hasFfmpeg)(
    'FFmpeg’s WHIP muxer publishes H.264 and Opus, as the server of the DTLS handshake',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'faceblur-whip-'));
      cleanups.push(() => rm(folder, { recursive: true, force: true }));
      const clip = join(folder, 'clip.mkv');
      const picture = ['-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=30'];
      const sound = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
      const h264 = [
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-tune',
        'zerolatency',
        '-pix_fmt',
        'yuv420p',
        '-g',
        '15',
      ];
      await ffmpeg(...picture, ...sound, '-t', '3', ...h264, '-c:a', 'libopus', '-ac', '2', clip);

      let published: Published | undefined;
      const methods: string[] = [];
      const http = createServer(async (request, response) => {
        methods.push(request.method!);
        const body = await text(request);
        if (request.method !== 'POST') return response.end();
        published = await media.publish(body);
        const headers = { 'content-type': 'application/sdp', location: '/whip/street/1' };
        return response.writeHead(201, headers).end(published.answer);
      });
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      cleanups.push(() => http.close());

      Log.setLevel(AV_LOG_FATAL);
      await using input = await Demuxer.open(clip);
      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/whip/street`;
      const muxer = await Muxer.open(url, { input, format: 'whip' });
      const indexes = [muxer.addStream(input.video()!), muxer.addStream(input.audio()!)];
      for await (const packet of input.packets()) {
        if (packet) await muxer.writePacket(packet, indexes[packet.streamIndex]!);
      }
      expect(published?.codec).toBe('h264');
      await vi.waitFor(async () => {
        expect(await packetsOf(published!.video)).toBeGreaterThan(FLOWING);
        expect(await packetsOf(published!.audio)).toBeGreaterThan(FLOWING);
      }, PATIENCE);
      expect(published?.transport.dtlsState).toBe('connected');
      await muxer.close();
      expect(methods).toEqual(['POST', 'DELETE']);
    },
  );

  test('werift publishes, and views what it publishes', async () => {
    const track = new MediaStreamTrack({ kind: 'video' });
    const publisher = peer();
    publisher.addTransceiver(track, { direction: 'sendonly' });
    const published = await media.publish(await offerOf(publisher));
    await publisher.setRemoteDescription({ type: 'answer', sdp: published.answer });

    let sequenceNumber = 0;
    const timer = setInterval(() => {
      sequenceNumber += 1;
      const timestamp = sequenceNumber * 3000;
      const header = new RtpHeader({ payloadType: 97, sequenceNumber, timestamp, marker: true, ssrc: 1 });
      track.writeRtp(new RtpPacket(header, VP8_KEYFRAME).serialize());
    }, PACKET_INTERVAL_MS);
    cleanups.push(() => clearInterval(timer));
    await vi.waitFor(async () => expect(await packetsOf(published.video)).toBeGreaterThan(FLOWING), PATIENCE);

    const viewer = peer();
    viewer.addTransceiver('video', { direction: 'recvonly' });
    const payloads: string[] = [];
    viewer.onTrack.subscribe((received) =>
      received.onReceiveRtp.subscribe(({ payload }) => {
        payloads.push(payload.toString('hex'));
      }),
    );
    const viewed = await media.view(await offerOf(viewer), published);
    await viewer.setRemoteDescription({ type: 'answer', sdp: viewed.answer });
    await vi.waitFor(() => expect(payloads.length).toBeGreaterThan(FLOWING), PATIENCE);
    expect(new Set(payloads)).toEqual(new Set([VP8_KEYFRAME.toString('hex')]));
  });

  function peer(): RTCPeerConnection {
    const connection = new RTCPeerConnection({
      codecs: { video: [useVP8()], audio: [useOPUS()] },
      bundlePolicy: 'max-bundle',
      iceUseIpv6: false,
      iceServers: [],
    });
    cleanups.push(() => connection.close());
    return connection;
  }
});

async function offerOf(connection: RTCPeerConnection): Promise<string> {
  await connection.setLocalDescription(await connection.createOffer());
  return connection.localDescription!.sdp;
}

async function packetsOf(producer: types.Producer | null): Promise<number> {
  const stats = (await producer?.getStats()) ?? [];
  return stats.reduce((sum, { packetCount }) => sum + packetCount, 0);
}
