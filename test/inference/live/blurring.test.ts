import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { codeLive, readAnnexB } from '../../../bench/live-source.ts';
import type { Detector } from '../../../inference/detect/detector.ts';
import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { hasLiveDetector, LIVE } from '../../clips/live-detector.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { openTestDetector } from '../../clips/test-detector.ts';
import { decodeAll, facesInOutput, psnrAwayFromFaces } from './decoded-output.ts';
import { EngineRun } from './engine-run.ts';

/** From this score on the detector sees a face: the engine's own bound for a likely one. */
const FACE_SCORE = 0.35;
/** Two live codecs one after the other at 2.5 Mbit/s; a wrong, older or shifted picture is below 25 dB. */
const MIN_PSNR_DB = 30;
const TICKS = 3000;
const frameOf = (pts: number) => Math.round(pts / TICKS);

const folder = temporaryFolder();
let detector: Detector;
let clip: FaceClip;
let coded: Record<VideoCodec, CodedVideo[]>;
let run: EngineRun | undefined;

beforeAll(async () => {
  detector = await openTestDetector();
  clip = await makeFaceClip(join(folder, 'clip.mp4'), { seconds: 1.5 });
  coded = { h264: await codeLive(clip.path, { codec: 'h264' }), vp8: await codeLive(clip.path, { codec: 'vp8' }) };
});
afterEach(async () => {
  await run?.engine.close();
  run = undefined;
});
afterAll(() => detector?.close());

test.skipIf(!hasLiveDetector)(`the detector finds every face of the source in the source ${LIVE}`, async () => {
  const found = await facesInOutput('h264', coded.h264, detector, { truth: clip.truth, frameOf, minScore: FACE_SCORE });
  const there = clip.truth.frames.reduce((sum, faces) => sum + faces.length, 0);
  expect(found.length).toBeGreaterThan(0.9 * there);
});

describe.each([
  ['vp8', 'vp8', 0],
  ['h264', 'h264', 0],
  ['vp8', 'h264', 0],
  ['h264', 'h264', 3],
  ['h264', 'vp8', 3],
] as const)('%s to %s with %i frames of look-ahead', (input, output, lookaheadFrames) => {
  test.skipIf(!hasLiveDetector)(
    `faces are covered, the rest is as it was, and every picture keeps its time ${LIVE}`,
    async () => {
      run = await EngineRun.start({ input, output, policy: { lookaheadFrames } });
      const frames = coded[input];
      await run.feed(frames);
      await run.received(frames.length);
      expect(run.video.map(({ pts }) => pts)).toEqual(frames.map(({ pts }) => pts));
      expect(run.video[0]?.isKeyframe).toBe(true);
      expect(run.video.slice(1).filter(({ isKeyframe }) => isKeyframe)).toEqual([]);
      const left = { codec: output, frames: run.video };
      const options = { truth: clip.truth, frameOf, minScore: FACE_SCORE };
      expect(await facesInOutput(output, run.video, detector, options)).toEqual([]);
      expect(await psnrAwayFromFaces({ codec: input, frames }, left, clip.truth, frameOf)).toBeGreaterThan(MIN_PSNR_DB);
      const stats = await run.nextStats();
      const { detected, bracketed, covered } = stats.frames;
      expect(stats.frames).toMatchObject({ in: frames.length, out: frames.length, covered: 0, dropped: {} });
      expect(detected + bracketed + covered).toBe(frames.length);
      if (lookaheadFrames === 0) expect(detected).toBe(frames.length);
    },
  );
});

test.skipIf(!hasLiveDetector)(
  `pictures of a stream with B-frames leave in the order shown, each with its own time ${LIVE}`,
  async () => {
    const frames = await readAnnexB(clip.path);
    const inOrder = frames.map(({ pts }) => pts).sort((a, b) => a - b);
    expect(frames.map(({ pts }) => pts)).not.toEqual(inOrder);
    run = await EngineRun.start();
    await run.feed(frames);
    // The last ones are still being put in order when nothing follows.
    const held = 2;
    await run.received(frames.length - held);
    const left = run.video;
    expect(left.map(({ pts }) => pts)).toEqual(inOrder.slice(0, left.length));
    expect(left.length).toBeGreaterThanOrEqual(frames.length - held);
    const first = inOrder[0]!;
    const frameAt = (pts: number) => frameOf(pts - first);
    expect(
      await facesInOutput('h264', left, detector, { truth: clip.truth, frameOf: frameAt, minScore: FACE_SCORE }),
    ).toEqual([]);
    expect(
      await psnrAwayFromFaces({ codec: 'h264', frames }, { codec: 'h264', frames: left }, clip.truth, frameAt),
    ).toBeGreaterThan(MIN_PSNR_DB);
  },
);

describe.skipIf(!hasLiveDetector)(`when the size of the pictures changes in mid-stream ${LIVE}`, () => {
  test.each([
    ['vp8', '320:180', 320, 180],
    // H.264 in 4:2:0 has no odd sizes.
    ['vp8', '427:241', 426, 240],
    ['h264', '320:180', 320, 180],
  ] as const)(
    'in %s to %s, what leaves changes with it, from a keyframe on, and stays covered',
    async (codec, size, width, height) => {
      const half = 20;
      const small = await codeLive(clip.path, { codec, filters: `scale=${size}` });
      // The second half begins with a keyframe of its own, as a browser's does.
      const later = small.slice(0, half).map((frame) => ({ ...frame, pts: frame.pts + half * TICKS }));
      run = await EngineRun.start({ input: codec, output: codec, policy: { lookaheadFrames: 2 } });
      await run.feed([...coded[codec].slice(0, half), ...later]);
      await run.received(2 * half);
      expect(run.video.map(({ pts }) => pts)).toEqual(Array.from({ length: 2 * half }, (_, i) => i * TICKS));
      expect(run.video.flatMap(({ isKeyframe, pts }) => (isKeyframe ? [frameOf(pts)] : []))).toEqual([0, half]);
      const sizes: string[] = [];
      await decodeAll(codec, run.video, (picture) => {
        sizes.push(`${picture.width}×${picture.height}`);
      });
      expect(new Set(sizes.slice(0, half))).toEqual(new Set(['640×360']));
      expect(new Set(sizes.slice(half))).toEqual(new Set([`${width}×${height}`]));
      const found = await facesInOutput(codec, run.video, detector, {
        truth: clip.truth,
        frameOf: (pts) => frameOf(pts) % half,
        minScore: FACE_SCORE,
      });
      expect(found).toEqual([]);
      expect((await run.nextStats()).width).toBe(width);
    },
  );
});
