import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ReadyClip } from '../../../bench/clips.ts';
import { type FaceFrame, shownFaces } from '../../../bench/identity/shown-faces.ts';
import { codeLive, writeCoded } from '../../../bench/live-source.ts';
import type { Detector } from '../../../inference/detect/detector.ts';
import { liveTuning } from '../../../inference/detect/tuning.ts';
import type { CodedVideo } from '../../../inference/live/coded-media.ts';
import { LiveJob } from '../../../inference/live/live-job.ts';
import { DEFAULT_POLICY, type PeoplePolicy } from '../../../inference/policy.ts';
import { FaceEmbedder } from '../../../inference/recognise/face-embedder.ts';
import { iou } from '../../../inference/track/box.ts';
import { defaultModelLocations } from '../../../models/locations.ts';
import { findModel, loadManifest } from '../../../models/manifest.ts';
import { resolveRecogniser } from '../../../models/resolve.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE, FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { hasLiveDetector, LIVE } from '../../clips/live-detector.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { openTestDetector } from '../../clips/test-detector.ts';
import { photoFrame } from '../recognise/open-nets.ts';
import { EngineRun } from './engine-run.ts';

const TICKS = 3000;
const FPS = 30;
const frameOf = (pts: number) => Math.round(pts / TICKS);
/** What is asked for of the person who is enrolled, after the first second. */
const MIN_SEEN = 0.9;
/** One of the five: wholly in every frame of the clip. */
const ENROLLED = 3;

const folder = temporaryFolder();
let detector: Detector;
let embedder: FaceEmbedder;
let five: FaceClip;
let frames: CodedVideo[];
let run: EngineRun | undefined;

beforeAll(async () => {
  detector = await openTestDetector();
  const { entry, bytes } = await resolveRecogniser(defaultModelLocations({}));
  embedder = await FaceEmbedder.open(entry, bytes, 1);
  five = await makeFaceClip(join(folder, 'five.mp4'), { seconds: 3, width: 960, height: 540 }, FIVE_PEOPLE);
  frames = await codeLive(five.path, { codec: 'h264' });
});
afterEach(async () => {
  await run?.engine.close();
  run = undefined;
});
afterAll(async () => {
  await detector?.close();
  await embedder?.close();
});

/** The people of a policy: faces of the photo, by their index. */
async function peopleOf(...faces: number[]): Promise<PeoplePolicy> {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  const found = await detector.detect(picture, 640, 0.6);
  const people: PeoplePolicy['people'][number][] = [];
  for (const id of faces) {
    const [x, y, w, h] = FIVE_PEOPLE.boxes[id]!;
    const face = found.find((detection) => iou(detection, { x, y, w, h }) > 0.4)!;
    const { chip } = embedder.look(picture, face)!;
    people.push({ id: `face-${id}`, embeddings: [await embedder.embed(chip)] });
  }
  return { mode: 'except', recogniser: embedder.name, people };
}

/** Starts an engine, and waits until it can recognise. */
async function start(people: PeoplePolicy | undefined, lookaheadFrames = 0): Promise<EngineRun> {
  const started = await EngineRun.start({ policy: { lookaheadFrames, ...(people && { people }) } });
  if (people) await started.until(() => started.stats.at(-1)?.recognition.recogniser === embedder.name, 30_000);
  return started;
}

/** Frames that come after those sent before. */
const from = (coded: readonly CodedVideo[], first: number) =>
  coded.map((frame, i) => ({ ...frame, pts: (first + i) * TICKS }));

/** Which faces can be seen in what left, from the picture on that was made of the clip's first frame. */
async function seenIn(video: readonly CodedVideo[], sent: readonly CodedVideo[], first = 0): Promise<FaceFrame[]> {
  const [source, left] = [join(folder, 'sent.h264'), join(folder, 'left.h264')];
  writeCoded(source, 'h264', sent);
  writeCoded(left, 'h264', video);
  const clip = { truth: five.truth } as ReadyClip;
  const numbers = video.map(({ pts }) => frameOf(pts) - first);
  return (await shownFaces(clip, source, left, numbers)).filter(({ isWhole }) => isWhole);
}

describe.skipIf(!hasLiveDetector)(`in a live stream ${LIVE}`, () => {
  test.each([0, 3])('one enrolled person is seen, and nobody else, at look-ahead %i', async (lookaheadFrames) => {
    run = await start(await peopleOf(ENROLLED), lookaheadFrames);
    await run.feed(frames, FPS);
    await run.received(frames.length);
    const faces = await seenIn(run.video, frames);
    const others = faces.filter(({ face }) => face !== ENROLLED);
    expect(others.length).toBeGreaterThan(100);
    expect(others.filter(({ isSeen }) => isSeen)).toEqual([]);
    const theirs = faces.filter(({ face, frame }) => face === ENROLLED && frame >= FPS);
    expect(theirs.length).toBeGreaterThan(FPS);
    expect(theirs.filter(({ isSeen }) => isSeen).length).toBeGreaterThanOrEqual(MIN_SEEN * theirs.length);
    const told = run.faces.flat().filter(({ visible }) => visible);
    expect(told.length).toBeGreaterThan(0);
    for (const face of told) {
      expect(face).toMatchObject({ reason: 'match', identity: { id: `face-${ENROLLED}` } });
      expect(face.identity!.similarity).toBeGreaterThan(0.9);
    }
    const { recognition } = await run.nextStats();
    expect(recognition).toMatchObject({ recogniser: embedder.name, failures: 0, problem: null });
  });

  test('who is erased from the policy is covered from the next picture on', async () => {
    run = await start(await peopleOf(ENROLLED));
    await run.feed(frames.slice(0, 60), FPS);
    await run.received(60);
    run.engine.setPolicy({ ...DEFAULT_POLICY, lookaheadFrames: 0, people: await peopleOf(0) });
    await run.feed(frames.slice(60, 75), FPS);
    await run.received(75);
    const seen = (await seenIn(run.video, frames)).filter(({ isSeen, face }) => isSeen && face === ENROLLED);
    expect(seen.some(({ frame }) => frame === 59)).toBe(true);
    expect(seen.every(({ frame }) => frame < 60)).toBe(true);
  });

  test('a pinned person is seen again after leaving and coming back, and nobody else', async () => {
    const four = await makeFaceClip(join(folder, 'four.mp4'), { seconds: 1, width: 960, height: 540 }, FOUR_PEOPLE);
    const between = await codeLive(four.path, { codec: 'h264' });
    run = await start(undefined);
    await run.feed(frames.slice(0, 10), FPS);
    await run.received(10);
    const [, x, y, w, h] = five.truth.frames[9]!.find(([id]) => id === ENROLLED)!;
    const face = (await run.engine.faces()).find(
      ({ box: [bx, by, bw, bh] }) => iou({ x, y, w, h }, { x: bx, y: by, w: bw, h: bh }) > 0.5,
    )!;
    expect(await run.engine.setVisible(face.track, true)).toBe(true);
    await run.until(() => run!.stats.at(-1)?.recognition.recogniser === embedder.name, 30_000);
    await run.feed(frames.slice(10, 60), FPS);
    await run.received(60);
    await run.feed(from(between, 60), FPS);
    await run.feed(from(frames, 60 + between.length), FPS);
    await run.received(60 + between.length + frames.length);
    const back = 60 + between.length;
    expect((await seenIn(run.video.slice(0, 60), frames)).some(({ isSeen }) => isSeen)).toBe(true);
    const seen = (await seenIn(run.video, frames, back)).filter(({ isSeen }) => isSeen);
    expect(new Set(seen.map((each) => each.face))).toEqual(new Set([ENROLLED]));
    expect(seen.length).toBeGreaterThan(FPS);
    const told = run.faces.findLast((each) => each.some(({ visible }) => visible))!;
    const shown = told.filter(({ visible }) => visible);
    expect(shown).toMatchObject([{ reason: 'pinned', identity: null }]);
    expect(shown[0]!.track).not.toBe(face.track);
  });

  test('people of another recogniser are not compared with: nobody is seen, and statistics say why', async () => {
    const people = await peopleOf(ENROLLED);
    run = await start({ ...people, recogniser: 'another' });
    await run.feed(frames.slice(0, 60), FPS);
    await run.received(60);
    expect((await seenIn(run.video, frames)).filter(({ isSeen }) => isSeen)).toEqual([]);
    expect((await run.nextStats()).recognition.problem).toMatch(/enrolled with another/);
  });
});

test('embeddings that come in a message are overwritten once the engine has copied them', async () => {
  const [first, second] = [[Float32Array.of(0.6, 0.8)], [Float32Array.of(0.8, 0.6), Float32Array.of(1, 0)]];
  const policyOf = (embeddings: readonly Float32Array[]) => ({
    ...DEFAULT_POLICY,
    lookaheadFrames: 0,
    people: { mode: 'except' as const, recogniser: 'x', people: [{ id: 'somebody', embeddings }] },
  });
  const nothing = () => undefined;
  const job = new LiveJob(
    {
      input: 'h264',
      output: 'h264',
      policy: policyOf(first),
      bitrateBps: 1_000_000,
      keyframeIntervalMs: null,
      audio: null,
    },
    detector,
    liveTuning(findModel(loadManifest(), 'yunet-n')),
    () => new Promise(() => undefined),
    { onVideo: nothing, onTaken: nothing, onKeyframeNeeded: nothing, onFaces: nothing, onFailed: nothing },
  );
  try {
    job.setPolicy(policyOf(second));
    for (const embedding of [...first, ...second]) expect([...embedding]).toEqual([0, 0]);
  } finally {
    job.close();
  }
});
