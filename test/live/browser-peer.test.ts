import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { canRunLivePage, PATIENCE } from '../gateway/live-page-rig.ts';
import type { PlayedFigures } from '../gateway/played-picture.ts';
import { BrowserPeerRig } from './browser-peer-rig.ts';
import type { MadeStream } from './live-server.ts';

/**
 * The clip is coded three times on its way, at bitrates of live video whose estimates have only begun: seen are 22 to
 * 26, and 28 raw. A picture that is covered whole, at 40 by 22 cells, has 18.
 */
const MIN_PSNR_OUTSIDE_DB = 21;
/** Pictures read off the player: several seconds of them. */
const PICTURES = 25;
/** So many of them are different ones of the clip, at least: the picture moves. */
const MIN_DIFFERENT = 8;
/** Of the faces that come in raw, most can be read: else the measure would prove nothing of those that are covered. */
const MIN_LEGIBLE_PART = 0.9;

const publish = (page: Page, { key }: Pick<MadeStream, 'key'>, mimeType = 'video/VP8') =>
  page.evaluate(`peer.publish(${JSON.stringify({ key, mimeType })})`);
const watch = (page: Page, options: { raw?: boolean } = {}) => page.evaluate(`peer.watch(${JSON.stringify(options)})`);
const ask = (page: Page, type: string, fields: object) =>
  page.evaluate(`peer.ask(${JSON.stringify(type)}, ${JSON.stringify(fields)})`);
/** Ends the socket, and leaves alone what the page has of connections. */
const hangUp = (page: Page) => page.evaluate('peer.close()');
const events = (page: Page) => page.evaluate('peer.events') as Promise<Record<string, unknown>[]>;

/** Waits until a page is told that a transport, or all that it has on a stream, ended. */
const closed = (page: Page, what: object) =>
  vi.waitFor(async () => expect(await events(page)).toContainEqual({ type: 'rtc.closed', ...what }), PATIENCE);

async function expectSound(page: Page): Promise<void> {
  const before = await page.evaluate('peer.heard()');
  await vi.waitFor(async () => expect(await page.evaluate('peer.heard()')).toBeGreaterThan(before as number), PATIENCE);
}

function expectCovered({ faces, legible, psnrOutsideDb, pictures }: PlayedFigures): void {
  expect(faces).toBeGreaterThan(PICTURES);
  expect(legible).toBe(0);
  expect(psnrOutsideDb).toBeGreaterThan(MIN_PSNR_OUTSIDE_DB);
  expect(pictures).toBeGreaterThanOrEqual(MIN_DIFFERENT);
}

describe.skipIf(!canRunLivePage)('a browser with mediasoup-client on /ws', () => {
  let rig: BrowserPeerRig;

  beforeAll(async () => {
    // A push to this machine is what changes a stream's codec here.
    rig = await BrowserPeerRig.create({ ALLOW_PRIVATE_SOURCES: 'true' });
  });
  afterAll(() => rig?.close());
  afterEach(() => rig?.closePages());

  test.each(['video/VP8', 'video/H264'])(
    'publishes and plays %s: faces covered, the rest and the sound kept',
    async (codec) => {
      const stream = await rig.server.makeStream();
      const sender = await rig.openPeer(stream.id);
      expect(await publish(sender, stream, codec)).toEqual(['audio/opus', codec]);
      await rig.server.untilLive(stream.id);

      const viewer = await rig.openPeer(stream.id);
      await ask(viewer, 'subscribe', { topic: `stream:${stream.id}` });
      expect(await watch(viewer)).toEqual(['audio/opus', codec]);
      expectCovered(await rig.played.measure(viewer, 'video', PICTURES));
      await expectSound(viewer);

      await hangUp(sender);
      const states = async () => (await events(viewer)).filter(({ type }) => type === 'stream.state');
      await vi.waitFor(async () => {
        expect(await states()).toMatchObject([
          { from: 'live', state: 'draining', reason: 'the publisher left' },
          { from: 'draining', state: 'idle', reason: 'the publisher left' },
        ]);
      }, PATIENCE);
      await vi.waitFor(async () => {
        expect(await events(viewer)).toContainEqual({
          type: 'rtc.closed',
          stream: stream.id,
          reason: 'the stream ended',
        });
      }, PATIENCE);
    },
  );

  test('is refused with another key, and the stream stays as it was', async () => {
    const stream = await rig.server.makeStream();
    const other = await rig.server.makeStream();
    const page = await rig.openPeer(stream.id);
    await expect(publish(page, other)).rejects.toThrow(/unauthorized/);
    expect(await rig.server.state(stream.id)).toBe('idle');
    await expect(watch(page)).rejects.toThrow(/not-live/);
  });

  test('is not shown what comes in raw', async () => {
    const stream = await rig.server.makeStream();
    const sender = await rig.openPeer(stream.id);
    await publish(sender, stream);
    await rig.server.untilLive(stream.id);
    const viewer = await rig.openPeer(stream.id);
    await expect(watch(viewer, { raw: true })).rejects.toThrow(/forbidden/);
    // Not with a transport that it may have, either.
    expect(await watch(viewer)).toContain('video/VP8');
    const capabilities = (await ask(viewer, 'rtc.capabilities', { stream: stream.id })) as object;
    const consume = { stream: stream.id, kind: 'video', raw: true, ...capabilities };
    await expect(ask(viewer, 'rtc.consume', consume)).rejects.toThrow(/forbidden/);
  });

  test('is told when another with the key takes over, and its socket ends nothing of the other’s', async () => {
    const stream = await rig.server.makeStream();
    const first = await rig.openPeer(stream.id);
    await publish(first, stream);
    await rig.server.untilLive(stream.id);
    const second = await rig.openPeer(stream.id);
    await publish(second, stream);
    const transport = await first.evaluate('peer.sending.id');
    await closed(first, { stream: stream.id, transport, reason: 'the publish ended' });
    await hangUp(first);

    await rig.server.untilLive(stream.id);
    const viewer = await rig.openPeer(stream.id);
    await watch(viewer);
    expectCovered(await rig.played.measure(viewer, 'video', PICTURES));
    expect(await rig.server.state(stream.id)).toBe('live');
  });

  test('that sends and watches on one socket goes on sending when its watching ends, until the socket does', async () => {
    const stream = await rig.server.makeStream();
    const page = await rig.openPeer(stream.id);
    await publish(page, stream);
    await rig.server.untilLive(stream.id);
    expect(await watch(page)).toContain('video/VP8');

    // RTMP takes H.264 alone: viewers of VP8 end, and come again.
    const push = ['rtmp://127.0.0.1:1/live/nowhere'];
    expect((await rig.server.call('PATCH', `/v1/streams/${stream.id}`, { push })).status).toBe(200);
    const transport = await page.evaluate('peer.watching.id');
    await closed(page, { stream: stream.id, transport, reason: 'the stream ended' });
    await vi.waitFor(async () => expect(await watch(page)).toContain('video/H264'), PATIENCE);
    expectCovered(await rig.played.measure(page, 'video', PICTURES));
    expect(await rig.server.state(stream.id)).toBe('live');

    await hangUp(page);
    await vi.waitFor(async () => {
      const { body } = await rig.server.call('GET', `/v1/streams/${stream.id}`);
      expect(body).toMatchObject({ state: expect.stringMatching(/draining|idle/), reason: 'the publisher left' });
    }, PATIENCE);
  });
});

describe.skipIf(!canRunLivePage)('a browser with mediasoup-client and RAW_PREVIEW', () => {
  let rig: BrowserPeerRig;
  let stream: MadeStream;

  beforeAll(async () => {
    rig = await BrowserPeerRig.create({ RAW_PREVIEW: 'true' });
    stream = await rig.server.makeStream();
    await publish(await rig.openPeer(stream.id), stream);
    await rig.server.untilLive(stream.id);
  });
  afterAll(() => rig?.close());

  test('is shown the raw picture as an operator, and the same measure reads its faces', async () => {
    const operator = await rig.openPeer(stream.id);
    expect(await watch(operator, { raw: true })).toEqual(['audio/opus', 'video/VP8']);
    const { faces, legible } = await rig.played.measure(operator, 'video', PICTURES);
    expect(faces).toBeGreaterThan(PICTURES);
    expect(legible / faces).toBeGreaterThan(MIN_LEGIBLE_PART);
    await expectSound(operator);
  });

  test('is shown the covered picture where it does not ask for raw', async () => {
    const viewer = await rig.openPeer(stream.id);
    await watch(viewer);
    expectCovered(await rig.played.measure(viewer, 'video', PICTURES));
  });

  test('is refused the raw picture with a play token, and shown the covered one', async () => {
    const { body } = await rig.server.call('POST', `/v1/streams/${stream.id}/play-tokens`, {});
    const viewer = await rig.openPeer(stream.id);
    await ask(viewer, 'auth', { token: (body as { token: string }).token });
    await expect(watch(viewer, { raw: true })).rejects.toThrow(/forbidden/);
    await watch(viewer);
    expectCovered(await rig.played.measure(viewer, 'video', PICTURES));
  });
});
