import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { VideoRig } from './video-rig.ts';
import type { VideoWorkerSettings } from './video-worker-process.ts';

/** When workers are killed, after they began: in each stage of a job that takes about three seconds. Milliseconds. */
const ANALYSIS_KILLS = [150, 1500];
const RENDER_KILLS = [700];
const LIMIT_MS = 60_000;

const folder = temporaryFolder();
let rig: VideoRig;
let clip: Buffer;
let workers: ChildProcess[] = [];

beforeAll(async () => {
  clip = readFileSync((await makeFaceClip(join(folder, 'in.mp4'), { seconds: 4 })).path);
  rig = await VideoRig.open({ concurrency: 0 });
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => end(worker, 'SIGKILL')));
  workers = [];
});
afterAll(() => rig?.close());

async function startWorker(): Promise<ChildProcess> {
  const { dataDir, key } = rig;
  const settings: VideoWorkerSettings = {
    ...{ dataDir, key: key.toString('base64') },
    ...{ databaseUrl: null, redisUrl: null, s3: null },
  };
  const worker = fork(join(import.meta.dirname, 'video-worker-process.ts'), [JSON.stringify(settings)]);
  workers.push(worker);
  await once(worker, 'message');
  return worker;
}

async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const ended = once(worker, 'exit');
  worker.kill(signal);
  await ended;
}

async function killAt(afterMs: readonly number[], isOver: () => Promise<boolean>): Promise<void> {
  for (const ms of afterMs) {
    const worker = await startWorker();
    await sleep(ms);
    await end(worker, 'SIGKILL');
    if (await isOver()) return;
  }
}

test('workers killed at all points are taken over from, and leave neither files nor objects', async () => {
  const id = await rig.upload(clip);
  const stateIs = (wanted: string) => async () => (await rig.state(id)).state === wanted;
  await rig.call('POST', `/v1/videos/${id}/complete`);
  await killAt(ANALYSIS_KILLS, stateIs('ready'));
  await startWorker();
  await rig.reaches(id, 'ready', LIMIT_MS);
  expect((await rig.faces(id)).length).toBe(4);
  expect(await rig.objects()).toHaveLength(4);
  await Promise.all(workers.map((worker) => end(worker, 'SIGTERM')));

  await rig.call('PATCH', `/v1/videos/${id}/faces/1`, { visible: true });
  await rig.call('POST', `/v1/videos/${id}/render`, {});
  await killAt(RENDER_KILLS, stateIs('done'));
  const last = await startWorker();
  await rig.reaches(id, 'done', LIMIT_MS);
  expect((await rig.download(id)).length).toBeGreaterThan(10_000);
  await vi.waitFor(async () => expect(await rig.objects()).toHaveLength(8));
  await end(last, 'SIGTERM');
  expect(await rig.workFiles()).toEqual([]);
  expect((await rig.call('DELETE', `/v1/videos/${id}`)).status).toBe(204);
  expect(await rig.objects()).toEqual([]);
});

test('a worker that is told to end hands its job back, and another one does it', async () => {
  const id = await rig.upload(clip);
  const { job } = (await rig.call('POST', `/v1/videos/${id}/complete`)).body;
  const first = await startWorker();
  await vi.waitFor(async () => expect((await rig.call('GET', `/v1/jobs/${job}`)).body.stage).toBe('analysing'), {
    timeout: 20_000,
  });
  await end(first, 'SIGTERM');
  expect((await rig.call('GET', `/v1/jobs/${job}`)).body.state).toBe('queued');
  expect(await rig.workFiles()).toEqual([]);
  const second = await startWorker();
  await rig.reaches(id, 'ready', LIMIT_MS);
  await end(second, 'SIGTERM');
});
