import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { eraseOrphans } from '../../../gateway/videos/orphans.ts';
import { analyseFile, type BlurFileHooks, renderFile } from '../../../inference/blur-file.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { childrenOf, hasProc } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { VideoRig } from './video-rig.ts';

const folder = temporaryFolder();
let rig: VideoRig;
let clip: Buffer;
/** Called when the engine begins, and again with each sign of progress. */
let onWork: () => void = () => undefined;

beforeAll(async () => {
  clip = readFileSync((await makeFaceClip(join(folder, 'in.mp4'), { seconds: 4 })).path);
  rig = await VideoRig.open({
    engine: {
      analyse: (options, hooks) => analyseFile(options, observed(hooks)),
      render: (options, hooks) => renderFile(options, observed(hooks)),
    },
  });
});
afterAll(() => rig?.close());

function observed(hooks: BlurFileHooks = {}): BlurFileHooks {
  return {
    ...hooks,
    onProgress: (progress) => {
      hooks.onProgress?.(progress);
      onWork();
    },
  };
}
const cancel = (id: string) => rig.call('POST', `/v1/videos/${id}/cancel`);
/** Resolves when the engine works on something. */
const working = () =>
  new Promise<void>((resolve) => {
    onWork = resolve;
  });
/** Nothing is left on disk, and nobody works on it. */
const idle = () =>
  vi.waitFor(async () => {
    expect(await rig.workFiles()).toEqual([]);
    if (hasProc) expect(childrenOf(process.pid, 'file-job-process')).toEqual([]);
  });

test('cancelled before it is uploaded, half way or whole, nothing of it is left', async () => {
  const made = await rig.call('POST', '/v1/videos', { filename: 'a.mp4', size: 70 * 2 ** 20 });
  const { id, upload } = made.body;
  await fetch(upload.parts[0].url, { method: 'PUT', body: Buffer.alloc(upload.partSize) });
  expect(await cancel(id)).toMatchObject({ status: 202, body: { id, state: 'cancelled' } });
  const whole = await rig.upload(clip);
  expect((await cancel(whole)).status).toBe(202);
  expect((await cancel(whole)).status).toBe(202);
  expect((await rig.call('POST', `/v1/videos/${whole}/complete`)).body.error.code).toBe('video-conflict');
  expect(await rig.objects()).toEqual([]);
  const left = (await rig.files()).filter(({ path }) => path.includes('/objects/'));
  expect(left.map(({ path }) => path)).toEqual([]);
});

test('cancelled while it is analysed, nothing of it is left', async () => {
  const id = await rig.upload(clip);
  const begun = working();
  const { job } = (await rig.call('POST', `/v1/videos/${id}/complete`)).body;
  await begun;
  expect((await cancel(id)).body.state).toBe('cancelled');
  await idle();
  expect(await rig.objects()).toEqual([]);
  expect((await rig.call('GET', `/v1/jobs/${job}`)).body.state).toBe('cancelled');
  expect(await rig.state(id)).toMatchObject({ state: 'cancelled', error: null });
  expect((await rig.call('POST', `/v1/videos/${id}/render`, {})).status).toBe(409);
});

test('cancelled while its job waits, it is never begun', async () => {
  const first = await rig.upload(clip);
  const second = await rig.upload(clip);
  const begun = working();
  await rig.call('POST', `/v1/videos/${first}/complete`);
  await begun;
  const { job } = (await rig.call('POST', `/v1/videos/${second}/complete`)).body;
  expect((await cancel(second)).status).toBe(202);
  expect((await rig.call('GET', `/v1/jobs/${job}`)).body).toMatchObject({ state: 'cancelled', attempts: 0 });
  await cancel(first);
  await idle();
  expect(await rig.objects()).toEqual([]);
});

test('a render that is cancelled leaves nothing of it, and can be asked for again', async () => {
  const id = await rig.analysed(clip);
  const before = await rig.objects();
  const begun = working();
  await rig.call('POST', `/v1/videos/${id}/render`, {});
  await begun;
  expect((await cancel(id)).body.state).toBe('cancelled');
  await idle();
  expect(await rig.objects()).toEqual(before);
  expect((await rig.call('GET', `/v1/videos/${id}/download`)).body.error.code).toBe('video-not-ready');
  await rig.rendered(id);
  expect((await rig.download(id)).length).toBeGreaterThan(10_000);
});

test('one that was only analysed is given up whole', async () => {
  const id = await rig.analysed(Buffer.concat([clip, Buffer.from('0000000866726565', 'hex')]));
  const kept = (await rig.objects()).filter((key) => key.includes(id));
  expect(kept).toHaveLength(4);
  expect((await cancel(id)).status).toBe(202);
  expect((await rig.objects()).filter((key) => key.includes(id))).toEqual([]);
  expect(await rig.state(id)).toMatchObject({ state: 'cancelled', width: null });
});

test('deleted while it is worked on, its work ends and nothing of it is left', async () => {
  const id = await rig.upload(Buffer.concat([clip, Buffer.from('0000000866726565', 'hex')]));
  const begun = working();
  const { job } = (await rig.call('POST', `/v1/videos/${id}/complete`)).body;
  await begun;
  expect((await rig.call('DELETE', `/v1/videos/${id}`)).status).toBe(204);
  await idle();
  expect((await rig.objects()).filter((key) => key.includes(id))).toEqual([]);
  expect((await rig.call('GET', `/v1/jobs/${job}`)).status).toBe(404);
  for (const { path, bytes } of await rig.files()) expect(bytes.includes(id), path).toBe(false);
});

test('what is sent to an address of a video that is gone is swept away', async () => {
  const { id, upload } = (await rig.call('POST', '/v1/videos', { filename: 'a.mp4', size: clip.length })).body;
  await rig.call('DELETE', `/v1/videos/${id}`);
  expect((await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: clip })).status).toBe(200);
  const other = await rig.upload(clip);
  const keys = async () => (await rig.objects()).filter((key) => key.startsWith('original/'));
  expect(await keys()).toContain(`original/local/${id}`);
  expect(await eraseOrphans('local', rig.store, rig.database.videos)).toBe(1);
  expect(await keys()).not.toContain(`original/local/${id}`);
  expect(await keys()).toContain(`original/local/${other}`);
});

test('videos past their time, and those never uploaded, are swept away', async () => {
  const { id } = (await rig.call('POST', '/v1/videos', { filename: 'a.mp4', size: 5 })).body;
  await rig.gateway.sweep(Date.now() + 23 * 3_600_000);
  expect((await rig.state(id)).state).toBe('created');
  await rig.gateway.sweep(Date.now() + 26 * 3_600_000);
  expect((await rig.call('GET', `/v1/videos/${id}`)).status).toBe(404);
  expect((await rig.call('GET', '/v1/videos')).body.items).not.toEqual([]);
  await rig.gateway.sweep(Date.now() + 8 * 86_400_000);
  expect((await rig.call('GET', '/v1/videos')).body.items).toEqual([]);
  expect(await rig.objects()).toEqual([]);
});
