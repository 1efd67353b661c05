import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { codeLive } from '../../../bench/live-source.ts';
import type { Detector } from '../../../inference/detect/detector.ts';
import type { CodedVideo, VideoCodec } from '../../../inference/live/coded-media.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { hasLiveDetector, LIVE } from '../../clips/live-detector.ts';
import { seededRandom } from '../../clips/picture.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { openTestDetector } from '../../clips/test-detector.ts';
import { facesInOutput } from './decoded-output.ts';
import { EngineRun } from './engine-run.ts';

/** The project's bound for a leak: damage smears, so only a face that the detector is sure of counts as readable. */
const FACE_SCORE = 0.5;
const TICKS = 3000;
const KEYFRAME_EVERY = 15;
const frameOf = (pts: number) => Math.round(pts / TICKS);

const folder = temporaryFolder();
let detector: Detector;
let clip: FaceClip;
let coded: Record<VideoCodec, CodedVideo[]>;
let run: EngineRun | undefined;

beforeAll(async () => {
  detector = await openTestDetector();
  clip = await makeFaceClip(join(folder, 'clip.mp4'), { seconds: 1.5 });
  const keyframeEvery = KEYFRAME_EVERY;
  coded = {
    h264: await codeLive(clip.path, { codec: 'h264', keyframeEvery }),
    vp8: await codeLive(clip.path, { codec: 'vp8', keyframeEvery }),
  };
});
afterEach(async () => {
  await run?.engine.close();
  run = undefined;
});
afterAll(() => detector?.close());

test.skipIf(!hasLiveDetector).each(['vp8', 'h264'] as const)(
  `after a loss no %s picture leaves until a keyframe has come ${LIVE}`,
  async (codec) => {
    run = await EngineRun.start({ input: codec, output: codec });
    const frames = coded[codec];
    await run.feed(frames.slice(0, 5));
    await run.received(5);
    run.engine.markLoss();
    await run.feed(frames.slice(7, 20));
    await run.received(10);
    const left = run.video.map(({ pts }) => frameOf(pts));
    expect(left).toEqual([0, 1, 2, 3, 4, 15, 16, 17, 18, 19]);
    expect(run.keyframesNeeded).toBeGreaterThan(0);
    expect((await run.nextStats()).frames.dropped).toEqual({ 'waiting-for-keyframe': 8 });
    expect(
      await facesInOutput(codec, run.video, detector, { truth: clip.truth, frameOf, minScore: FACE_SCORE }),
    ).toEqual([]);
  },
);

test('a stream that does not begin with a keyframe asks for one and shows nothing before it', async () => {
  run = await EngineRun.start();
  await run.feed(coded.h264.slice(3, 18));
  await run.received(3);
  expect(run.video.map(({ pts }) => frameOf(pts))).toEqual([15, 16, 17]);
  expect(run.keyframesNeeded).toBeGreaterThan(0);
});

/** Overwrites a part of a frame's bytes, keeping its first ones, so that it still looks like a frame. */
function mutate(frame: CodedVideo, random: () => number, count: number): CodedVideo {
  const data = new Uint8Array(frame.data);
  for (let i = 0; i < count; i++) data[Math.floor((0.02 + 0.98 * random()) * data.length)] = Math.floor(random() * 256);
  return { ...frame, data: random() < 0.3 ? data.subarray(0, Math.floor(data.length * random())) : data };
}

test.each([
  ['vp8', 0],
  ['vp8', 3],
  ['h264', 0],
  ['h264', 3],
] as const)(
  'damaged %s frames at %i frames of look-ahead: the engine goes on, and no face is seen',
  async (codec, lookaheadFrames) => {
    const random = seededRandom(lookaheadFrames + (codec === 'vp8' ? 11 : 23));
    const frames = coded[codec].map((frame, i) => (i % 4 === 2 ? mutate(frame, random, 1 + (i % 9)) : frame));
    run = await EngineRun.start({ input: codec, output: codec, policy: { lookaheadFrames } });
    await run.feed(frames);
    await run.until(() => frameOf(run!.video.at(-1)?.pts ?? 0) === frames.length - 1, 3000);
    // Sound again from the last keyframe on.
    expect(frameOf(run.video.at(-1)!.pts)).toBe(frames.length - 1);
    const times = run.video.map(({ pts }) => pts);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    const found = await facesInOutput(codec, run.video, detector, {
      truth: clip.truth,
      frameOf,
      minScore: FACE_SCORE,
    });
    expect(found).toEqual([]);
    if (codec === 'h264') {
      expect(run.keyframesNeeded).toBeGreaterThan(0);
      expect((await run.nextStats()).frames.covered).toBeGreaterThan(0);
    }
  },
);

test.skipIf(!hasLiveDetector)(`parameter sets that come on their own are no damage ${LIVE}`, async () => {
  run = await EngineRun.start();
  const [first] = coded.h264;
  // H.264 §7.4.1.2.3: they stand before the picture; type 5 in the NAL unit header begins it.
  const slice = first!.data.findIndex(
    (byte, i, data) => i > 3 && (byte & 0x1f) === 5 && data[i - 1] === 1 && data[i - 2] === 0,
  );
  const sets = { ...first!, data: first!.data.subarray(0, slice - 3), isKeyframe: false };
  await run.feed([first!, { ...sets, pts: 1 }, ...coded.h264.slice(1, 5)]);
  await run.received(5);
  expect(run.video.map(({ pts }) => frameOf(pts))).toEqual([0, 1, 2, 3, 4]);
  expect((await run.nextStats()).frames).toMatchObject({ covered: 0, dropped: {} });
});

test.skipIf(!hasLiveDetector)(`empty frames end nothing ${LIVE}`, async () => {
  run = await EngineRun.start({ input: 'vp8' });
  await run.feed(coded.vp8.slice(0, 3));
  run.push({ data: new Uint8Array(0), pts: 2 * TICKS + 1, isKeyframe: false });
  await run.feed(coded.vp8.slice(15, 20));
  await run.received(8);
  expect(run.video.map(({ pts }) => frameOf(pts))).toEqual([0, 1, 2, 15, 16, 17, 18, 19]);
});

test('bytes that are no video at all end nothing', async () => {
  const random = seededRandom(5);
  run = await EngineRun.start();
  for (let i = 0; i < 40; i++) {
    const data = Uint8Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256));
    run.push({ data, pts: i * TICKS, isKeyframe: i % 3 === 0 });
  }
  const sound = coded.h264.slice(0, 10).map((frame) => ({ ...frame, pts: frame.pts + 40 * TICKS }));
  await run.feed(sound);
  await run.received(10, 3000);
  expect(run.video.map(({ pts }) => pts)).toEqual(sound.map(({ pts }) => pts));
});
