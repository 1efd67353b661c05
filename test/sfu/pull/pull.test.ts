import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { PullSource } from '../../../sfu/pull/pull-source.ts';
import { isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { FfmpegProcess } from '../rtmp/ffmpeg-process.ts';
import { adts, audioSeconds, ffmpegOutput, makeFlvClip, pictureHashes } from '../rtmp/media-clip.ts';
import type { RecordingSink } from '../rtmp/recording-sink.ts';
import { until } from '../rtmp/until.ts';
import { freePort } from './free-port.ts';
import { PullerUnderTest } from './puller-under-test.ts';
import { RtspTestServer } from './rtsp-test-server.ts';

const folder = temporaryFolder();
const clip = join(folder, 'clip.flv');
const webm = join(folder, 'clip.webm');

beforeAll(async () => {
  await makeFlvClip(clip, SECONDS);
  await ffmpegOutput('-i', clip, '-c:v', 'libvpx', '-deadline', 'realtime', '-g', '15', '-c:a', 'libopus', webm);
});

/** Longer than any test reads, so that none sees the clip begin again. */
const SECONDS = 15;
const PICTURES = 60;
/** A player may come in just after a keyframe. */
const GOP = 30;
/** More than the B-frames in a row. */
const REORDERED = 4;
/** Between two pictures of 30 a second, in 90 kHz ticks; a container of whole ms rounds them. */
const FRAME_TICKS = 3_000;
const ROUNDING_TICKS = 90;
const AAC_FRAME_TICKS = [1114, 1115];
/** Between the picture and the sound of a pulled source: what they are apart in the clip, and rounding. */
const LIP_SYNC_MS = 40;

async function checkH264(sink: RecordingSink): Promise<void> {
  const start = sink.video.findIndex(({ isKeyframe }) => isKeyframe);
  const file = join(folder, 'pulled.h264');
  await writeFile(file, Buffer.concat(sink.video.slice(start).map(({ data }) => data)));
  const known = new Set(await pictureHashes(clip));
  const pulled = await pictureHashes(file);
  expect(pulled.length).toBeGreaterThanOrEqual(PICTURES - GOP);
  expect(pulled.filter((hash) => !known.has(hash))).toEqual([]);
  // In order of showing; of the last few, some may still be to come.
  const times = sink.video
    .slice(start)
    .map(({ pts }) => pts)
    .sort((a, b) => a - b)
    .slice(0, -REORDERED);
  const steps = times.slice(1).map((time, index) => time - times[index]!);
  expect(steps.filter((step) => Math.abs(step - FRAME_TICKS) > ROUNDING_TICKS)).toEqual([]);
}

describe('an rtsp:// source', () => {
  test('brings H.264 with B-frames and AAC, decodable and in step', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(server.url);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) >= PICTURES, 'pictures');
    const [source] = pulled.sources;
    const [sink] = pulled.sinks as [RecordingSink];
    expect(source).toMatchObject({ kind: 'pull', video: 'h264', audio: { codec: 'aac' } });
    await checkH264(sink);
    const { audio } = source!;
    const file = join(folder, 'pulled.aac');
    await writeFile(
      file,
      adts(
        audio?.codec === 'aac' ? audio.config : new Uint8Array(),
        sink.audio.map(({ data }) => data),
      ),
    );
    expect(await audioSeconds(file)).toBeGreaterThan(1);
    const steps = new Set(sink.audio.slice(1, 40).map(({ pts }, index) => pts - sink.audio[index]!.pts));
    expect([...steps].sort()).toEqual(AAC_FRAME_TICKS);
    expect(server.connections).toBe(2);
    expect(source!.counters().packets).toBeGreaterThan(PICTURES);
  });

  test('brings VP8 and Opus', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', webm, '-c', 'copy');
    const pulled = new PullerUnderTest(server.url);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) >= PICTURES, 'pictures');
    expect(pulled.sources[0]).toMatchObject({ video: 'vp8', audio: { codec: 'opus' } });
    expect(pulled.sinks[0]!.video.some(({ isKeyframe }) => isKeyframe)).toBe(true);
    expect(pulled.sinks[0]!.audio.length).toBeGreaterThan(0);
    const [video, audio] = [pulled.sinks[0]!.video.at(-1)!, pulled.sinks[0]!.audio.at(-1)!];
    const apart = pulled.sources[0]!.timelineMs('video', video.pts) - pulled.sources[0]!.timelineMs('audio', audio.pts);
    expect(Math.abs(apart)).toBeLessThan(10 * LIP_SYNC_MS);
  });

  test('comes back after its server died and started again', async () => {
    const server = await RtspTestServer.listen();
    const { port } = server;
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(server.url);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) > 10, 'pictures');
    await server.close();
    expect((await pulled.sinks[0]!.end()).end).toBe('connection-lost');
    await until(() => pulled.reasons.some((reason) => reason.includes('refuses connections')), 'it waits and says why');
    const again = await RtspTestServer.listen(port);
    await again.publish('-i', clip, '-c', 'copy');
    await until(() => (pulled.sinks[1]?.video.length ?? 0) > 10, 'pictures again');
    expect(pulled.states.at(-1)).toEqual({ state: 'live', reason: null });
  });

  test.each([
    ['plainly', 'RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLocation: rtsp://127.0.0.1:{port}/x\r\n\r\n'],
    ['in a broken line', 'RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLoca\rtion: rtsp://127.0.0.1:{port}/x\r\n\r\n'],
    ['behind a packet', 'RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\n$\0\0\x02xxLOCATION: rtsp://127.0.0.1:{port}/x\r\n\r\n'],
  ])('that redirects %s is not followed', async (_, answer) => {
    const elsewhere = await RtspTestServer.listen();
    await elsewhere.publish('-i', clip, '-c', 'copy');
    const connections = elsewhere.connections;
    const server = await RtspTestServer.listen();
    server.describe = answer.replace('{port}', String(elsewhere.port));
    const pulled = new PullerUnderTest(server.url);
    await until(() => pulled.reasons.length > 1, 'it gives up and tries again');
    expect(pulled.reasons[0]).toContain('redirects elsewhere');
    expect(elsewhere.connections).toBe(connections);
    expect(pulled.sources).toEqual([]);
  });

  test('whose URL asks FFmpeg for UDP still gets TCP', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(`${server.url}?udp`);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) > 0, 'pictures');
    expect(server.transports).toHaveLength(4);
    for (const transport of server.transports) expect(transport).toMatch(/^rtp\/avp\/tcp;/i);
  });

  test('that takes a connection and says nothing is given up in time', async () => {
    const server = await RtspTestServer.listen();
    server.describe = '';
    const pulled = new PullerUnderTest(server.url, { openTimeoutMs: 1_500 });
    await until(() => pulled.reasons.length > 0, 'it gives up');
    expect(pulled.reasons[0]).toContain('not open after 1500 ms');
  });
});

describe('an rtmp:// source', () => {
  test('brings H.264 with B-frames and AAC', async () => {
    const port = await freePort();
    await FfmpegProcess.start(
      '-re',
      '-i',
      clip,
      '-c',
      'copy',
      '-f',
      'flv',
      '-listen',
      '1',
      `rtmp://127.0.0.1:${port}/live/cam`,
    );
    const pulled = new PullerUnderTest(`rtmp://127.0.0.1:${port}/live/cam?token=SECRET-TOKEN`);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) >= PICTURES, 'pictures');
    expect(pulled.sources[0]).toMatchObject({ kind: 'pull', video: 'h264', audio: { codec: 'aac' } });
    await checkH264(pulled.sinks[0]!);
    const steps = new Set(
      pulled.sinks[0]!.audio.slice(1, 40).map(({ pts }, index) => pts - pulled.sinks[0]!.audio[index]!.pts),
    );
    expect([...steps].sort()).toEqual(AAC_FRAME_TICKS);
    expect(pulled.logged.join('')).not.toContain('SECRET-TOKEN');
  });

  test('that nobody serves is waited for, with longer and longer waits', async () => {
    const port = await freePort();
    const pulled = new PullerUnderTest(`rtmp://user:SECRET@127.0.0.1:${port}/live/cam`);
    await until(() => pulled.reasons.length > 1, 'two attempts');
    expect(pulled.reasons[0]).toContain('refuses connections');
    expect(JSON.stringify([pulled.states, pulled.logged])).not.toContain('SECRET');
  });
});

describe('a pulled source', () => {
  test('that is closed by whoever had it pauses the puller, until it resumes', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(server.url);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) > 0, 'pictures');
    const { pid } = pulled.sources[0] as PullSource;
    expect(isAlive(pid!)).toBe(true);
    await pulled.sources[0]!.close();
    expect(isAlive(pid!)).toBe(false);
    expect(pulled.sinks[0]!.ended?.end).toBe('requested');
    await until(() => pulled.states.at(-1)?.state === 'paused', 'it pauses');
    pulled.puller.resume();
    await until(() => (pulled.sinks[1]?.video.length ?? 0) > 0, 'pictures again');
    await pulled.puller.close();
    expect(pulled.sinks[1]!.ended?.end).toBe('requested');
    expect(pulled.states.at(-1)?.state).toBe('closed');
  });

  test('whose process is killed ends as failed, and is pulled anew', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(server.url);
    await until(() => (pulled.sinks[0]?.video.length ?? 0) > 0, 'pictures');
    process.kill((pulled.sources[0] as PullSource).pid!, 'SIGKILL');
    expect((await pulled.sinks[0]!.end()).end).toBe('failed');
    await until(() => (pulled.sinks[1]?.video.length ?? 0) > 0, 'pictures again');
  });

  test('on loopback is refused unless private sources are allowed, and nothing is connected', async () => {
    const server = await RtspTestServer.listen();
    const pulled = new PullerUnderTest(server.url, { allowPrivate: false });
    await until(() => pulled.reasons.length > 0, 'it is refused');
    expect(pulled.reasons[0]).toContain('not on the public Internet');
    expect(server.connections).toBe(0);
  });

  test('whose name resolves to a private address is refused', async () => {
    const server = await RtspTestServer.listen();
    const pulled = new PullerUnderTest(`rtsp://cameras.example:${server.port}/cam`, {
      allowPrivate: false,
      lookup: async () => [{ address: '93.184.216.34' }, { address: '127.0.0.1' }],
    });
    await until(() => pulled.reasons.length > 0, 'it is refused');
    expect(pulled.reasons[0]).toContain('not on the public Internet');
    expect(server.connections).toBe(0);
  });

  test('connects to the address that was checked, whatever its name is', async () => {
    const server = await RtspTestServer.listen();
    await server.publish('-i', clip, '-c', 'copy');
    const pulled = new PullerUnderTest(`rtsp://cameras.example:${server.port}/cam`, {
      lookup: async () => [{ address: '127.0.0.1' }],
    });
    await until(() => (pulled.sinks[0]?.video.length ?? 0) > 0, 'pictures');
  });

  test('is reached by one connection only: nobody else gets through the relay', async () => {
    const server = await RtspTestServer.listen();
    const { PinnedRelay } = await import('../../../sfu/pull/pinned-relay.ts');
    const relay = await PinnedRelay.open({
      protocol: 'rtsp',
      address: '127.0.0.1',
      port: server.port,
      connectTimeoutMs: 1_000,
    });
    const first = connect(relay.port, '127.0.0.1');
    await until(() => server.connections === 1, 'the first');
    const second = connect(relay.port, '127.0.0.1');
    second.on('error', () => undefined);
    await new Promise((fulfil) => second.once('close', fulfil));
    expect(server.connections).toBe(1);
    first.destroy();
    await relay.close();
  });
});
