import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findFfmpeg } from '../../bench/ffmpeg-executable.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { hasLiveDetector, LIVE } from '../clips/live-detector.ts';
import { childrenOf, hasProc, isAlive } from '../clips/processes.ts';
import { endChildren, Running } from '../gateway/run-cli.ts';
import { forMs } from './live-rig.ts';
import { decodeAll } from './recorded-media.ts';

const SEGMENT_MS = 2000;
/** What is in the jitter buffer, the engine's look-ahead and ffmpeg when all of it dies. */
const ON_ITS_WAY_MS = 1000;
const PATIENCE_MS = 30_000;

interface RecordingView {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly durationMs: number;
  readonly hls: string;
  readonly mp4: string | null;
}

let folder: string;
let sender: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-drill-'));
});

afterEach(async () => {
  sender?.kill('SIGKILL');
  await endChildren();
  await rm(folder, { recursive: true, force: true });
});

interface Gateway {
  readonly running: Running;
  readonly url: string;
}

async function startGateway(): Promise<Gateway> {
  const env = {
    ...{ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: join(folder, 'data') },
    ...{ HLS_TIME_SECONDS: String(SEGMENT_MS / 1000), LOG_LEVEL: 'info' },
  };
  const running = new Running(['serve'], { env, cwd: folder });
  const [url] = await running.printed(/http:\/\/127\.0\.0\.1:\d+/);
  return { running, url };
}

async function call(url: string, method = 'GET', body?: object): Promise<unknown> {
  const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return (await fetch(url, { method, ...init })).json();
}

async function recordings({ url }: Gateway): Promise<RecordingView[]> {
  return ((await call(`${url}/v1/recordings?stream=cam`)) as { items: RecordingView[] }).items;
}

async function untilRecording(gateway: Gateway, what: string, isSo: (view: RecordingView) => boolean) {
  const start = performance.now();
  for (;;) {
    const view = (await recordings(gateway)).find(isSo);
    if (view) return view;
    if (performance.now() - start > PATIENCE_MS)
      throw new Error(`waited in vain for ${what}: ${gateway.running.stdout}`);
    await forMs(50);
  }
}

/** A stream that is recorded, sent by ffmpeg. */
async function recordedStream(gateway: Gateway): Promise<void> {
  const made = (await call(`${gateway.url}/v1/streams`, 'POST', { id: 'cam', record: true })) as {
    key: string;
    publish: { rtmp: string };
  };
  const { path } = await makeFaceClip(join(folder, 'clip.mp4'));
  const input = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', path];
  const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  const ffmpeg = await findFfmpeg();
  const target = `${made.publish.rtmp}?key=${made.key}`;
  sender = spawn(ffmpeg.path, [...input, ...codecs, '-f', 'flv', target], { stdio: 'ignore' });
}

async function expectPlayable({ hls, mp4, durationMs }: RecordingView): Promise<void> {
  const file = join(folder, 'recording.mp4');
  await writeFile(file, Buffer.from(await (await fetch(mp4!)).arrayBuffer()));
  const whole = await decodeAll(file);
  expect(whole.complaints).toBe('');
  expect(whole.pictures).toBeGreaterThan((durationMs / 1000) * 20);
  expect((await decodeAll(hls)).pictures).toBe(whole.pictures);
}

describe.skipIf(!hasFfmpeg || !hasLiveDetector || !hasProc)(`recordings of processes that are killed ${LIVE}`, () => {
  test('a gateway that is killed finishes its recording at the next start, but for a segment', async () => {
    const first = await startGateway();
    await recordedStream(first);
    await untilRecording(first, 'two segments', ({ durationMs }) => durationMs > 1.5 * SEGMENT_MS);
    const before = performance.now();
    const { durationMs: had } = (await recordings(first))[0]!;
    await forMs(1.5 * SEGMENT_MS);
    const ranMs = performance.now() - before;
    const children = childrenOf(first.running.child.pid!, '');
    first.running.child.kill('SIGKILL');
    await first.running.ended;
    sender?.kill('SIGKILL');

    const second = await startGateway();
    const left = await untilRecording(
      second,
      'its end',
      ({ state }) => state !== 'recording' && state !== 'finalising',
    );
    expect(left).toMatchObject({ state: 'partial', reason: 'the gateway died meanwhile' });
    expect(left.durationMs).toBeGreaterThan(had + ranMs - SEGMENT_MS - ON_ITS_WAY_MS);
    await expectPlayable(left);
    expect(children.filter(isAlive)).toEqual([]);
    expect(await readdir(join(folder, 'data', 'spool'))).toEqual([]);
    const gone = await fetch(`${second.url}/v1/recordings/${left.id}`, { method: 'DELETE' });
    expect(gone.status).toBe(204);
    const objects = await readdir(join(folder, 'data', 'objects'), { recursive: true, withFileTypes: true });
    expect(objects.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual([]);
  });

  test('an ffmpeg that is killed is followed by another, and a gateway that is told to end finishes its recording', async () => {
    const gateway = await startGateway();
    await recordedStream(gateway);
    await untilRecording(gateway, 'a segment', ({ durationMs }) => durationMs > SEGMENT_MS / 2);
    const [ffmpeg] = childrenOf(gateway.running.child.pid!, 'matroska');
    process.kill(ffmpeg!, 'SIGKILL');
    await untilRecording(gateway, 'more', ({ durationMs }) => durationMs > 2.5 * SEGMENT_MS);
    const { state } = (await call(`${gateway.url}/v1/streams/cam`)) as { state: string };
    expect(state).toBe('live');
    gateway.running.child.kill('SIGTERM');
    const { code } = await gateway.running.ended;
    expect(code).toBe(0);

    const second = await startGateway();
    const left = await untilRecording(
      second,
      'its end',
      ({ state: now }) => now !== 'recording' && now !== 'finalising',
    );
    expect(left).toMatchObject({ state: 'partial', reason: 'ffmpeg failed meanwhile' });
    await expectPlayable(left);
  });
});
