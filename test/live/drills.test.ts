import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { framesOf } from '../../bench/received-video.ts';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import type { Stream } from '../../sfu/stream.ts';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { badWire } from './bad-wire.ts';
import { forMs, LiveRig, until } from './live-rig.ts';
import type { WhepViewer } from './whep-viewer.ts';

/** A stream is back within this time, or says why not. */
const BACK_WITHIN_MS = 2000;

let rig: LiveRig;
let stream: Stream;
let streams = 0;

beforeAll(async () => {
  rig = await LiveRig.create();
});

afterEach(() => stream?.close());

afterAll(() => rig?.close());

/** A stream on air with one viewer who has a picture. */
async function onAir(codec: VideoCodec): Promise<WhepViewer> {
  stream = rig.stream(`drill-${streams++}`);
  await rig.publish(stream, codec);
  await until('the stream to be live', () => stream.state === 'live');
  const viewer = await rig.watch(stream, codec);
  await until('a first picture', () => framesOf(viewer.of('video'), codec).length > 10);
  return viewer;
}

/** Waits for pictures after now. @returns how long the first took */
function nextPicture(viewer: WhepViewer): Promise<number> {
  const before = viewer.of('video').length;
  return until('the next picture', () => viewer.of('video').length > before, 10_000);
}

async function expectNoFace(viewer: WhepViewer, codec: VideoCodec): Promise<void> {
  const figures = await rig.leaks(viewer, codec);
  expect(figures.frames).toBeGreaterThan(20);
  expect(figures.faceFrames).toBeGreaterThan(20);
  expect(figures.leaked).toBe(0);
}

describe.skipIf(!hasFfmpeg)('drills', () => {
  test.each<VideoCodec>(['vp8', 'h264'])('the engine of a %s stream is killed', async (codec) => {
    const viewer = await onAir(codec);
    const pid = rig.engines.at(-1)!;
    process.kill(pid, 'SIGKILL');
    await forMs(30);
    expect(await nextPicture(viewer)).toBeLessThan(BACK_WITHIN_MS);
    await forMs(1000);
    expect(rig.engines.at(-1)).not.toBe(pid);
    expect(stream.state).toBe('live');
    await expectNoFace(viewer, codec);
  });

  test('the engine hangs for two seconds', async () => {
    const viewer = await onAir('vp8');
    const pid = rig.engines.at(-1)!;
    process.kill(pid, 'SIGSTOP');
    await forMs(100);
    try {
      expect(await nextPicture(viewer)).toBeLessThan(BACK_WITHIN_MS + 500);
    } finally {
      // It is killed by then; where it is not, it must not stay.
      try {
        process.kill(pid, 'SIGCONT');
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ESRCH');
      }
    }
    await forMs(1000);
    await expectNoFace(viewer, 'vp8');
  });

  test('engines that die again and again end the publish with a reason', async () => {
    await onAir('vp8');
    const killer = setInterval(() => {
      try {
        process.kill(rig.engines.at(-1)!, 'SIGKILL');
      } catch {
        // It is dead already, and the next one is not there yet.
      }
    }, 50);
    try {
      await until('the stream to give up', () => stream.state === 'draining' || stream.state === 'idle', 30_000);
      expect(stream.reason).toMatch(/blurring failed 5 times/);
    } finally {
      clearInterval(killer);
    }
  });

  test('the media worker dies: its streams end and say so, another one takes over', async () => {
    await onAir('vp8');
    const [pid] = rig.sfu.workers.pids;
    process.kill(pid!, 'SIGKILL');
    await until('the stream to end', () => stream.state === 'idle', BACK_WITHIN_MS);
    expect(stream.reason).toBe('the media server failed');
    await expect(stream.watchWhep('v=0\r\n')).rejects.toMatchObject({ code: 'not-live' });
    await until('another worker', () => rig.sfu.ready, BACK_WITHIN_MS);
    expect(rig.sfu.workers.pids).not.toContain(pid);
    await rig.publish(stream, 'vp8');
    await until('the stream to be live again', () => stream.state === 'live');
    const viewer = await rig.watch(stream, 'vp8');
    await until('pictures', () => framesOf(viewer.of('video'), 'vp8').length > 30);
    await expectNoFace(viewer, 'vp8');
  });

  test('a publisher vanishes without a word and comes back: viewers stay', async () => {
    const viewer = await onAir('vp8');
    const first = await rig.publish(stream, 'vp8');
    await forMs(1500);
    first.vanish();
    await forMs(500);
    await rig.publish(stream, 'vp8');
    expect(await nextPicture(viewer)).toBeLessThan(BACK_WITHIN_MS);
    await until('the stream to be live', () => stream.state === 'live');
    await forMs(1000);
    // Timestamps go on growing over the change, and none is given twice.
    const stamps = framesOf(viewer.of('video'), 'vp8').map(({ rtpTimestamp }) => rtpTimestamp);
    for (let i = 1; i < stamps.length; i++) expect(stamps[i]).toBeGreaterThan(stamps[i - 1]!);
  });

  test('a publisher that is gone for longer ends the stream', async () => {
    stream = rig.stream(`drill-${streams++}`);
    const publisher = await rig.publish(stream, 'vp8');
    await until('the stream to be live', () => stream.state === 'live');
    publisher.vanish();
    await publisher.close();
    await until('the stream to notice', () => stream.state === 'draining', 20_000);
    expect(stream.reason).toMatch(/lost|left/);
    await until('the stream to be idle', () => stream.state === 'idle');
    expect(stream.stats()).toBeNull();
  });

  test.each([
    ['5 % loss', { loss: 0.05 }],
    ['20 % loss', { loss: 0.2 }],
    ['reordering', { reorder: 0.1 }],
    ['duplication', { duplicate: 0.2 }],
    ['all of it', { loss: 0.05, reorder: 0.1, duplicate: 0.1 }],
  ])('%s on the way in', async (_name, harm) => {
    for (const codec of ['vp8', 'h264'] as const) {
      stream = rig.stream(`drill-${streams++}`);
      const publisher = await rig.publish(stream, codec, { wire: badWire(harm, 7) });
      await until('the stream to be live', () => stream.state === 'live', 20_000);
      const viewer = await rig.watch(stream, codec);
      await until('a first picture', () => framesOf(viewer.of('video'), codec).length > 0, 20_000);
      await forMs(5000);
      expect(stream.state).toBe('live');
      if ('loss' in harm) expect(publisher.keyframeRequests).toBeGreaterThan(0);
      const figures = await rig.leaks(viewer, codec);
      expect(figures.faceFrames).toBeGreaterThan(0);
      expect(figures.leaked).toBe(0);
      await publisher.close();
      await stream.close();
    }
  });

  test('timestamps that wrap go on', async () => {
    stream = rig.stream(`drill-${streams++}`);
    const firstTimestamp = 2 ** 32 - 90_000 * 2;
    await rig.publish(stream, 'vp8', { firstTimestamp });
    await until('the stream to be live', () => stream.state === 'live');
    const viewer = await rig.watch(stream, 'vp8');
    await forMs(4500);
    const frames = framesOf(viewer.of('video'), 'vp8');
    expect(frames.some(({ rtpTimestamp }) => rtpTimestamp < 90_000 * 3)).toBe(true);
    expect(frames.length).toBeGreaterThan(60);
    const total = rig.clip.truth.frames.length;
    const figures = await rig.leaksIn(frames, 'vp8', ({ rtpTimestamp }) => {
      const since = (rtpTimestamp - firstTimestamp + 2 ** 32) % 2 ** 32;
      return Math.round(since / 3000) % total;
    });
    expect(figures.leaked).toBe(0);
  });
});
