import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { findFfmpeg } from '../../bench/ffmpeg-executable.ts';
import { framesOf } from '../../bench/received-video.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { type CodedClip, codeClip } from './coded-clip.ts';
import { until } from './live-rig.ts';
import { LiveServer, type MadeStream } from './live-server.ts';
import { WhipPublisher } from './whip-publisher.ts';

/** A push starts at a keyframe, and RTMP holds some frames back. */
const PATIENCE_MS = 15_000;

let server: LiveServer;
let clip: CodedClip;
let file: string;
let open: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  server = await LiveServer.start({ ALLOW_PRIVATE_SOURCES: 'true' });
  file = (await makeFaceClip(join(server.folder, 'clip.mp4'))).path;
  clip = await codeClip(file, server.folder, { codec: 'vp8' });
});

afterEach(async () => {
  for (const one of open.reverse()) await one.close();
  open = [];
});

afterAll(() => server?.close());

async function publish({ publish: { whip }, key }: MadeStream): Promise<void> {
  const headers = { 'content-type': 'application/sdp', authorization: `Bearer ${key}` };
  const publisher = await WhipPublisher.publish({ clip }, async (offer) => {
    return (await fetch(whip, { method: 'POST', body: offer, headers })).text();
  });
  open.push(publisher);
}

async function expectPictures(stream: MadeStream): Promise<void> {
  const viewer = await server.watch(stream, 'h264');
  open.push(viewer);
  await until('pictures', () => framesOf(viewer.of('video'), 'h264').length > 30, PATIENCE_MS);
  await until('sound', () => viewer.of('audio').length > 20, PATIENCE_MS);
}

/** ffmpeg as an RTMP server that serves a clip once to whoever comes. */
async function serveByRtmp(url: string): Promise<void> {
  const { path } = await findFfmpeg();
  const codecs = ['-c:v', 'libx264', '-preset', 'veryfast', '-g', '30', '-c:a', 'aac'];
  const input = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', file];
  const child: ChildProcess = spawn(path, [...input, ...codecs, '-f', 'flv', '-listen', '1', url], { stdio: 'ignore' });
  open.push({
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

describe.skipIf(!hasFfmpeg)('push and pull', () => {
  test('a VP8 stream that is pushed by RTMP goes out as H.264, and so it arrives', async () => {
    const target = await server.makeStream();
    const source = await server.makeStream({ push: [`${target.publish.rtmp}?key=${target.key}`] });
    await publish(source);
    await server.untilLive(target.id);
    await expectPictures(target);
    const body = await vi.waitFor(async () => {
      const { body: view } = await server.call('GET', `/v1/streams/${source.id}`);
      expect((view as { stats: unknown }).stats).not.toBeNull();
      return view;
    }, 5000);
    expect(body).toMatchObject({ stats: { codec: { in: 'vp8', out: 'h264' } } });
    expect(JSON.stringify(body)).not.toContain(target.key);
  });

  test('a target that is added to a running stream changes its codec; taken away, the push ends', async () => {
    const target = await server.makeStream();
    const source = await server.makeStream();
    await publish(source);
    await server.untilLive(source.id);
    await server.call('PATCH', `/v1/streams/${source.id}`, { push: [`${target.publish.rtmp}?key=${target.key}`] });
    await server.untilLive(target.id);
    await expectPictures(target);
    await server.call('PATCH', `/v1/streams/${source.id}`, { push: [] });
    for (let i = 0; i < 100 && (await server.state(target.id)) === 'live'; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await server.state(target.id)).toBe('draining');
    expect(await server.state(source.id)).toBe('live');
  });

  test('a target that is not there never touches the stream', async () => {
    const nobody = `rtmp://127.0.0.1:${await freePort()}/live/x?key=secret`;
    const source = await server.makeStream({ push: [nobody] });
    await publish(source);
    await server.untilLive(source.id);
    await expectPictures(source);
    expect(await server.state(source.id)).toBe('live');
  });

  test('a source is pulled as soon as it is there', async () => {
    const url = `rtmp://127.0.0.1:${await freePort()}/live/x`;
    const stream = await server.makeStream({ source: url });
    expect(await server.state(stream.id)).toBe('idle');
    await serveByRtmp(url);
    await server.untilLive(stream.id, 30_000);
    await expectPictures(stream);
    expect((await server.call('DELETE', `/v1/streams/${stream.id}`)).status).toBe(204);
  });

  test('without ALLOW_PRIVATE_SOURCES an address of this machine is refused at once', async () => {
    const guarded = await LiveServer.start();
    try {
      for (const source of [
        'rtsp://127.0.0.1/x',
        'rtmp://localhost/live/x',
        'rtsp://[::1]/x',
        'rtsp://169.254.1.1/x',
      ]) {
        const { status, body } = await guarded.call('POST', '/v1/streams', { source });
        expect(status).toBe(422);
        expect(body).toMatchObject({ error: { message: expect.stringContaining('not on the public Internet') } });
      }
    } finally {
      await guarded.close();
    }
  });
});
