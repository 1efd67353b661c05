import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { codeLive } from '../../../bench/live-source.ts';
import type { CodedVideo } from '../../../inference/live/coded-media.ts';
import { LiveEnginePool } from '../../../inference/live/engine-pool.ts';
import { defaultModelLocations } from '../../../models/locations.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { hasLiveDetector, LIVE } from '../../clips/live-detector.ts';
import { childrenOf, hasProc, isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { EngineRun } from './engine-run.ts';

const PROCESS = 'live-engine-process';
/** A hung process is given a second, looked at ten times a second, and both clocks are a test machine's. */
const HUNG_WITHIN_MS = 2500;
const DEAD_WITHIN_MS = 1000;
const GONE_WITHIN_MS = 5000;

const folder = temporaryFolder();
let frames: CodedVideo[];
let run: EngineRun | undefined;

beforeAll(async () => {
  const clip = await makeFaceClip(join(folder, 'clip.mp4'), { seconds: 0.5, width: 320, height: 180 });
  frames = await codeLive(clip.path, { codec: 'h264' });
});
afterEach(async () => {
  await run?.engine.close();
  run = undefined;
  if (hasProc)
    await vi.waitFor(() => expect(childrenOf(process.pid, PROCESS)).toEqual([]), { timeout: GONE_WITHIN_MS });
});

test('close() tells so once, leaves no process, and makes every call after it harmless', async () => {
  run = await EngineRun.start();
  const { engine } = run;
  await run.feed(frames.slice(0, 5));
  const asked = engine.faces();
  await Promise.all([engine.close(), engine.close()]);
  expect(await run.closed).toBeNull();
  if (hasProc) expect(isAlive(engine.pid)).toBe(false);
  expect(Array.isArray(await asked)).toBe(true);
  const count = run.video.length;
  engine.pushVideo(frames[5]!);
  engine.markLoss();
  engine.requestKeyframe();
  engine.setBitrate(1_000_000);
  expect(await engine.setVisible(1, true)).toBe(false);
  expect(await engine.faces()).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(run.video.length).toBe(count);
});

test('a process that is killed is told of as dead, and nothing leaves after that', async () => {
  run = await EngineRun.start();
  await run.feed(frames);
  process.kill(run.engine.pid, 'SIGKILL');
  const started = performance.now();
  expect(await run.closed).toMatchObject({ code: 'child-died', message: expect.stringContaining('SIGKILL') });
  expect(performance.now() - started).toBeLessThan(DEAD_WITHIN_MS);
});

test('a process that hangs is killed and told of as hung', async () => {
  run = await EngineRun.start();
  await run.feed(frames.slice(0, 5));
  await run.received(5);
  process.kill(run.engine.pid, 'SIGSTOP');
  const started = performance.now();
  for (const frame of frames.slice(5)) run.push(frame);
  expect(await run.closed).toMatchObject({ code: 'child-hung' });
  expect(performance.now() - started).toBeLessThan(HUNG_WITHIN_MS);
  expect(performance.now() - started).toBeGreaterThan(900);
});

test.skipIf(!hasLiveDetector)(`a process that has nothing to do is not taken for hung ${LIVE}`, async () => {
  run = await EngineRun.start();
  await run.feed(frames.slice(0, 3));
  await run.received(3);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await run.feed(frames.slice(3, 6));
  await run.received(6);
  expect(run.video).toHaveLength(6);
});

test('an interrupt from the terminal, which the whole group gets, does not end it', async () => {
  run = await EngineRun.start();
  process.kill(run.engine.pid, 'SIGINT');
  await run.feed(frames.slice(0, 3));
  await run.received(3);
  expect(run.video).toHaveLength(3);
});

test('a model that can’t be used rejects, and leaves no process', async () => {
  const modelsDir = mkdtempSync(join(folder, 'models-'));
  const cacheDir = mkdtempSync(join(folder, 'cache-'));
  writeFileSync(join(modelsDir, 'yunet_n_dynamic.onnx'), 'no model');
  await expect(EngineRun.start({ models: { cacheDir, modelsDir } })).rejects.toMatchObject({ code: 'model-unusable' });
});

test('AAC of which nobody can make sense rejects', async () => {
  await expect(
    EngineRun.start({ audio: { codec: 'aac', config: new Uint8Array([0xff, 0xff, 0xff]) } }),
  ).rejects.toMatchObject({ code: 'decode-failed' });
});

test.skipIf(!hasLiveDetector)(
  `a pool has a process ready, makes the next one, replaces one that died, and ends its own ${LIVE}`,
  async () => {
    const pool = new LiveEnginePool(defaultModelLocations({}));
    try {
      run = await EngineRun.start({}, pool);
      const first = run.engine.pid;
      await run.feed(frames.slice(0, 3));
      await run.received(3);
      expect(run.video).toHaveLength(3);
      if (hasProc) {
        await vi.waitFor(() => expect(childrenOf(process.pid, PROCESS)).toHaveLength(2), { timeout: GONE_WITHIN_MS });
      }
      await run.engine.close();
      run = await EngineRun.start({}, pool);
      expect(run.engine.pid).not.toBe(first);
      await run.feed(frames.slice(0, 3));
      await run.received(3);
      expect(run.video).toHaveLength(3);
    } finally {
      await pool.close();
    }
    await expect(pool.take()).rejects.toMatchObject({ code: 'closed' });
  },
);
