import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeLive } from '../../../bench/live-source.ts';
import type { Detector } from '../../../inference/detect/detector.ts';
import { liveTuning } from '../../../inference/detect/tuning.ts';
import type { CodedVideo } from '../../../inference/live/coded-media.ts';
import { monotonicMs } from '../../../inference/live/engine-messages.ts';
import { LiveJob, type LiveJobHooks } from '../../../inference/live/live-job.ts';
import { DEFAULT_POLICY } from '../../../inference/policy.ts';
import { findModel, loadManifest } from '../../../models/manifest.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { decodeAll, isCoveredWhole } from './decoded-output.ts';

const TICKS = 3000;
const FRAMES = 24;
let frames: CodedVideo[];
const jobs: LiveJob[] = [];

beforeAll(async () => {
  const clip = await makeFaceClip(join(temporaryFolder(), 'clip.mp4'), { seconds: FRAMES / 30 });
  frames = await codeLive(clip.path, { codec: 'h264' });
});
afterAll(() => {
  for (const job of jobs) job.close();
});

function makeJob(detector: Detector, lookaheadFrames: number, hooks: Partial<LiveJobHooks>): LiveJob {
  const job = new LiveJob(
    {
      input: 'h264',
      output: 'h264',
      policy: { ...DEFAULT_POLICY, lookaheadFrames },
      bitrateBps: 2_500_000,
      keyframeIntervalMs: null,
      audio: null,
    },
    detector,
    liveTuning(findModel(loadManifest(), 'yunet-n')),
    () => Promise.reject(new Error('nobody is to be recognised')),
    {
      onVideo: () => undefined,
      onTaken: () => undefined,
      onKeyframeNeeded: () => undefined,
      onFaces: () => undefined,
      onFailed: () => undefined,
      ...hooks,
    },
  );
  jobs.push(job);
  return job;
}

/** Runs the clip through a job whose detector throws when the test says so; one frame after the other. */
async function runJob(lookaheadFrames: number, throwsAt: (call: number) => boolean) {
  let calls = 0;
  const detector: Detector = {
    name: 'failing',
    async detect() {
      if (throwsAt(calls++)) throw new Error('the model failed');
      return [];
    },
    async close() {},
  };
  const video: CodedVideo[] = [];
  let taken = 0;
  const failures: unknown[] = [];
  const job = makeJob(detector, lookaheadFrames, {
    onVideo: (frame) => video.push(frame),
    onTaken: () => {
      taken++;
    },
    onFailed: (error) => failures.push(error),
  });
  for (const [i, frame] of frames.entries()) {
    job.push(frame, monotonicMs());
    while (taken <= i) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (video.length < frames.length) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(failures).toEqual([]);
  const covered: number[] = [];
  await decodeAll('h264', video, (picture, pts) => {
    if (isCoveredWhole(picture)) covered.push(pts / TICKS);
  });
  return { covered, video, stats: job.stats() };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('without failures no picture is covered whole', async () => {
  expect((await runJob(0, () => false)).covered).toEqual([]);
});

test('every picture on which the detector throws leaves covered whole, and no other', async () => {
  const { covered, stats, video } = await runJob(0, (call) => call >= 5 && call < 9);
  expect(covered).toEqual([5, 6, 7, 8]);
  expect(stats.frames.covered).toBe(4);
  expect(video.map(({ pts }) => pts / TICKS)).toEqual(range(0, FRAMES - 1));
});

test('a detector that always throws leaves nothing to see', async () => {
  expect((await runJob(0, () => true)).covered).toEqual(range(0, FRAMES - 1));
});

test('with look-ahead the pictures that waited for a detection that threw are covered whole with it', async () => {
  const { covered, stats } = await runJob(3, (call) => call === 2);
  // Detections are three frames apart: the third is on frame 6.
  expect(covered).toEqual([4, 5, 6]);
  expect(stats.frames).toMatchObject({ covered: 3, out: FRAMES });
});

test('a detector that fails for longer than a moment ends the job, so that another one is tried', async () => {
  const detector: Detector = {
    name: 'failing',
    detect: () => Promise.reject(new Error('the model failed')),
    close: async () => {},
  };
  const failures: unknown[] = [];
  const job = makeJob(detector, 0, { onFailed: (error) => failures.push(error) });
  for (let i = 0; failures.length === 0 && i < 300; i++) {
    job.push({ ...frames[i % FRAMES]!, pts: i * TICKS }, monotonicMs());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(failures).toMatchObject([{ code: 'run-failed', message: expect.stringContaining('the model failed') }]);
});
