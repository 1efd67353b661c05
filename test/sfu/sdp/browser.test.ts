import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { types } from 'mediasoup';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { buildFragment, readFragment } from '../../../sfu/sdp/fragment.ts';
import { HAS_WORKER, MediaServer, type Published } from './media-server.ts';

const CHROMIUM = '/usr/bin/chromium';
const CHROMIUM_ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];
/** Enough packets or frames to say that media flows, and not only its first packet. */
const FLOWING = 30;
/** Two busy cores; a connection and a second of video take about 2 s on them when idle. */
const PATIENCE = { timeout: 30_000, interval: 200 };

describe.skipIf(!existsSync(CHROMIUM) || !HAS_WORKER)('Chromium', () => {
  let media: MediaServer;
  let http: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    // Cameras are for secure contexts only; loopback is one, a blank page is not.
    http = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<title>t</title>'),
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
  });
  afterAll(async () => {
    await browser?.close();
    http?.close();
  });
  beforeEach(async () => {
    media = await MediaServer.create();
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
    await page.evaluate(PAGE_SCRIPT);
  });
  afterEach(async () => {
    await page.close();
    await media.close();
  });

  /** Publishes the fake camera and microphone; `shape` is the body of a function that gets `pc`, the stream and both tracks. */
  async function publish(shape: string, protocols?: readonly types.TransportProtocol[]): Promise<Published> {
    const offer: string = await page.evaluate(`offerToPublish((pc, stream, audio, video) => {${shape}})`);
    const published = await media.publish(offer, protocols);
    await page.evaluate(`answered('publisher', ${JSON.stringify(published.answer)})`);
    return published;
  }

  const plain = `for (const track of [audio, video]) pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });`;
  const only = (codec: string) => `${plain}
    const wanted = RTCRtpSender.getCapabilities('video').codecs.filter(({ mimeType, sdpFmtpLine = '' }) =>
      mimeType === 'video/rtx' || (mimeType === 'video/${codec}' && ('${codec}' !== 'H264' || /mode=1.*42e01f/.test(sdpFmtpLine))));
    pc.getTransceivers()[1].setCodecPreferences(wanted);`;

  test.each([
    ['VP8', 'vp8'],
    ['H264', 'h264'],
  ])('publishes %s and views it, sound and picture', async (name, codec) => {
    const published = await publish(only(name));
    expect(published.codec).toBe(codec);
    await vi.waitFor(async () => {
      expect(await packetsOf(published.video)).toBeGreaterThan(FLOWING);
      expect(await packetsOf(published.audio)).toBeGreaterThan(FLOWING);
    }, PATIENCE);
    expect(published.transport.iceSelectedTuple?.protocol).toBe('udp');

    const viewed = await media.view(await page.evaluate('offerToView()'), published);
    await page.evaluate(`answered('viewer', ${JSON.stringify(viewed.answer)})`);
    await vi.waitFor(async () => {
      const { video, audio, width } = (await page.evaluate('received()')) as Received;
      expect(video.framesDecoded).toBeGreaterThan(FLOWING);
      expect(video.mimeType).toBe(`video/${name}`);
      expect(audio.packetsReceived).toBeGreaterThan(FLOWING);
      expect(width).toBeGreaterThan(0);
    }, PATIENCE);
    // The viewer's formats are the offer's own, in what is sent as in the answer.
    for (const { rtpParameters } of viewed.consumers) {
      expect(viewed.answer).toContain(`a=rtpmap:${rtpParameters.codecs[0]!.payloadType} `);
    }
  });

  test('of a simulcast offer the first layer is taken, and only it flows', async () => {
    const published = await publish(`pc.createDataChannel('chat');
      pc.addTransceiver(video, { direction: 'sendonly', streams: [stream],
        sendEncodings: [{ rid: 'h' }, { rid: 'l', scaleResolutionDownBy: 2 }] });
      pc.addTransceiver(audio, { direction: 'sendonly', streams: [stream] });`);
    expect(published.answer).toContain('a=simulcast:recv h\r\n');
    expect(published.answer).toMatch(/^m=application 0 /m);
    await vi.waitFor(async () => expect(await packetsOf(published.video)).toBeGreaterThan(FLOWING), PATIENCE);
    expect(await published.video!.getStats()).toHaveLength(1);
    expect(await page.evaluate('sentLayers()')).toEqual(['h']);
  });

  test('the stream of its retransmissions is known for what it is', async () => {
    const published = await publish(plain);
    await vi.waitFor(async () => expect(await packetsOf(published.video)).toBeGreaterThan(FLOWING), PATIENCE);
    const [stats] = await published.video!.getStats();
    expect(stats).toMatchObject({ type: 'inbound-rtp', rtxSsrc: expect.any(Number) });
  });

  test('publishes over TCP where there is nothing else', async () => {
    const published = await publish(plain, ['tcp']);
    await vi.waitFor(async () => expect(await packetsOf(published.video)).toBeGreaterThan(FLOWING), PATIENCE);
    expect(published.transport.iceSelectedTuple?.protocol).toBe('tcp');
  });

  test('restarts ICE by fragments, and media goes on over the new session', async () => {
    const { transport, video, answer } = await publish(plain);
    await vi.waitFor(async () => expect(await packetsOf(video)).toBeGreaterThan(FLOWING), PATIENCE);
    const before = transport.iceParameters.usernameFragment;
    const { iceParameters } = readFragment(await page.evaluate('restartFragment()'));
    expect(iceParameters.usernameFragment).not.toBe(/a=ice-ufrag:(\S+)/.exec(answer)![1]);
    const ours = buildFragment(await transport.restartIce(), transport.iceCandidates, [{ kind: 'audio', mid: '0' }]);
    await page.evaluate(`restarted(${JSON.stringify(ours)}, ${JSON.stringify(answer)})`);
    expect(transport.iceParameters.usernameFragment).not.toBe(before);

    await expect.poll(() => page.evaluate('usedFragment()'), PATIENCE).toBe(transport.iceParameters.usernameFragment);
    const sofar = await packetsOf(video);
    await vi.waitFor(async () => expect(await packetsOf(video)).toBeGreaterThan(sofar + FLOWING), PATIENCE);
  });

  test('does not send video orientation, so that its pixels are upright', async () => {
    const published = await publish(plain);
    expect(published.answer).not.toContain('urn:3gpp:video-orientation');
    expect(published.answer).toContain('urn:ietf:params:rtp-hdrext:sdes:mid');
  });

  test('views only the picture when it asks for nothing else', async () => {
    const published = await publish(only('VP8'));
    const viewed = await media.view(await page.evaluate(`offerToView(['video'])`), published);
    await page.evaluate(`answered('viewer', ${JSON.stringify(viewed.answer)})`);
    await vi.waitFor(async () => {
      const { video } = (await page.evaluate('received()')) as Received;
      expect(video.framesDecoded).toBeGreaterThan(FLOWING);
    }, PATIENCE);
  });
});

interface Received {
  readonly video: { framesDecoded: number; mimeType: string };
  readonly audio: { packetsReceived: number };
  readonly width: number;
}

async function packetsOf(producer: types.Producer | null): Promise<number> {
  const stats = (await producer?.getStats()) ?? [];
  return stats.reduce((sum, { packetCount }) => sum + packetCount, 0);
}

/** What runs in the page. */
const PAGE_SCRIPT = `
  var peers = {};
  async function gathered(pc) {
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 20));
    return pc.localDescription.sdp;
  }
  async function offerToPublish(shape) {
    const pc = (peers.publisher = new RTCPeerConnection({ bundlePolicy: 'max-bundle' }));
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 480 } });
    shape(pc, stream, stream.getAudioTracks()[0], stream.getVideoTracks()[0]);
    return gathered(pc);
  }
  async function offerToView(kinds = ['audio', 'video']) {
    const pc = (peers.viewer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' }));
    for (const kind of kinds) pc.addTransceiver(kind, { direction: 'recvonly' });
    const video = document.body.appendChild(document.createElement('video'));
    video.muted = true;
    pc.ontrack = ({ track, streams }) => {
      if (track.kind !== 'video') return;
      video.srcObject = streams[0];
      video.play();
    };
    return gathered(pc);
  }
  async function answered(name, sdp) {
    await peers[name].setRemoteDescription({ type: 'answer', sdp });
  }
  /** As a WHIP client makes it: the new credentials of a new offer. */
  async function restartFragment() {
    const pc = peers.publisher;
    pc.restartIce();
    const sdp = await gathered(pc);
    return sdp.split('\\r\\n').filter((line) => /^a=ice-(ufrag|pwd)/.test(line)).slice(0, 2).join('\\r\\n');
  }
  /** As a WHIP client takes it: the first answer with the credentials of the fragment. */
  async function restarted(fragment, answer) {
    const sdp = ['ufrag', 'pwd'].reduce((text, name) => {
      const line = new RegExp('a=ice-' + name + ':.*', 'g');
      return text.replaceAll(line, fragment.match(line)[0]);
    }, answer);
    await peers.publisher.setRemoteDescription({ type: 'answer', sdp });
  }
  /** The server's user name fragment of the pair of candidates that is in use. */
  async function usedFragment() {
    const report = await peers.publisher.getStats();
    const transport = [...report.values()].find(({ type }) => type === 'transport');
    const pair = report.get(transport.selectedCandidatePairId);
    return pair?.state === 'succeeded' ? report.get(pair.remoteCandidateId).usernameFragment : null;
  }
  async function statsOf(name, type) {
    const report = await peers[name].getStats();
    const all = [...report.values()];
    return all.filter((entry) => entry.type === type)
      .map((entry) => ({ ...entry, mimeType: report.get(entry.codecId)?.mimeType }));
  }
  async function received() {
    const inbound = await statsOf('viewer', 'inbound-rtp');
    const of = (kind) => inbound.find((entry) => entry.kind === kind) ?? {};
    return { video: of('video'), audio: of('audio'), width: document.querySelector('video').videoWidth };
  }
  async function sentLayers() {
    const outbound = await statsOf('publisher', 'outbound-rtp');
    const frames = outbound.filter(({ kind, framesSent }) => kind === 'video' && framesSent > 0);
    return frames.map(({ rid }) => rid);
  }
`;
