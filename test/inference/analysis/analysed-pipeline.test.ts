import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AnalysedPipeline } from '../../../inference/analysis/analysed-pipeline.ts';
import type { Verdict } from '../../../inference/analysis/analysis.ts';
import { AnalysisWriter } from '../../../inference/analysis/analysis-file.ts';
import { PictureFingerprint } from '../../../inference/analysis/picture-fingerprint.ts';
import { closeFrame, type VideoFrame } from '../../../inference/media/video-frame.ts';
import { makePolicy } from '../../../inference/policy.ts';
import { lumaOf, makePicture, makeVideoFrame, texture } from '../../clips/picture.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { seen } from './synthetic-people.ts';

const folder = temporaryFolder();
const [WIDTH, HEIGHT] = [320, 180];
const FRAMES = 6;
/** Of two faces, their middles and a place where there is none. */
const [ANN, BOB, ELSEWHERE] = [
  [60, 30],
  [220, 30],
  [150, 120],
] as const;
let files = 0;

function frameOf(index: number, seed = index, broken = false): VideoFrame {
  return makeVideoFrame(index, makePicture(WIDTH, HEIGHT, texture(seed)), broken);
}

interface Analysed {
  readonly frames?: number;
  readonly notInspected?: readonly number[];
}

async function analysed({ frames = FRAMES, notInspected = [] }: Analysed = {}): Promise<string> {
  const path = join(folder, `${files++}.faces`);
  const writer = await AnalysisWriter.create(path, WIDTH, HEIGHT);
  const print = new PictureFingerprint();
  for (let index = 0; index < frames; index++) {
    const frame = frameOf(index);
    const isInspected = !notInspected.includes(index);
    const faces = isInspected ? [seen(1, ANN[0] - 20), seen(2, BOB[0] - 20)] : [];
    await writer.add({ pts: frame.picture.pts, fingerprint: print.of(frame.picture), isInspected, faces });
    closeFrame(frame);
  }
  print.close();
  await writer.finish();
  return path;
}

/** What became of each frame: which of the three places are still as they were. */
async function rendered(path: string, frames: readonly VideoFrame[], verdicts: readonly Verdict[] = []) {
  const pipeline = await AnalysedPipeline.open({ path, verdicts, policy: makePolicy() });
  const left = [];
  for (const frame of frames) {
    const before = lumaOf(frame.picture);
    for (const { frame: redacted, whole, covers, shown } of await pipeline.push(frame)) {
      const after = lumaOf(redacted.picture);
      const isKept = ([x, y]: readonly [number, number]) => isSameAround(before, after, x, y);
      const tracks = [covers.map(({ track }) => track), shown.map(({ track }) => track)];
      left.push({ ann: isKept(ANN), bob: isKept(BOB), elsewhere: isKept(ELSEWHERE), whole, tracks });
      closeFrame(redacted);
    }
  }
  const { changedFrames } = pipeline;
  await pipeline.close();
  return { left, changedFrames };
}

function isSameAround(before: Uint8Array, after: Uint8Array, x: number, y: number): boolean {
  for (let row = y - 4; row <= y + 4; row++) {
    const [from, to] = [row * WIDTH + x - 4, row * WIDTH + x + 5];
    if (Buffer.compare(before.subarray(from, to), after.subarray(from, to)) !== 0) return false;
  }
  return true;
}

const all = (seedOf = (index: number) => index) => Array.from({ length: FRAMES }, (_, i) => frameOf(i, seedOf(i)));
const HIDDEN = { ann: false, bob: false, elsewhere: true, whole: false, tracks: [[1, 2], []] };
const WHOLE = { ann: false, bob: false, elsewhere: false, whole: true, tracks: [[], []] };
const showAnn = (firstFrame: number, lastFrame: number): Verdict => ({
  track: 1,
  firstFrame,
  lastFrame,
  identity: 'ann',
  visible: true,
});

test('faces are covered where the analysis says, and nothing else', async () => {
  const { left, changedFrames } = await rendered(await analysed(), all());
  expect(left).toEqual(Array(FRAMES).fill(HIDDEN));
  expect(changedFrames).toBe(0);
});

test('who may be seen is, in those frames only, and whoever is named to be covered is not', async () => {
  const shown = { ...HIDDEN, ann: true, tracks: [[2], [1]] };
  const { left } = await rendered(await analysed(), all(), [showAnn(2, 3)]);
  expect(left).toEqual([HIDDEN, HIDDEN, shown, shown, HIDDEN, HIDDEN]);
  const denied = await rendered(await analysed(), all(), [showAnn(0, 5), { ...showAnn(2, 3), visible: false }]);
  expect(denied.left).toEqual([shown, shown, HIDDEN, HIDDEN, shown, shown]);
});

test('a picture that is not the one that was analysed is covered whole', async () => {
  const { left, changedFrames } = await rendered(
    await analysed(),
    all((index) => (index === 3 ? 77 : index)),
    [showAnn(0, 5)],
  );
  expect(left[3]).toEqual(WHOLE);
  expect(left.filter(({ whole }) => whole)).toHaveLength(1);
  expect(changedFrames).toBe(1);
});

test('a face that came into a picture since then is noticed', async () => {
  const paint = texture(2);
  const bright = makePicture(WIDTH, HEIGHT, (x, y) => (Math.hypot(x - 150, y - 120) < 6 ? 250 : paint(x, y)));
  const frames = [frameOf(0), frameOf(1), makeVideoFrame(2, bright)];
  const { left } = await rendered(await analysed({ frames: 3 }), frames);
  expect(left.map(({ whole }) => whole)).toEqual([false, false, true]);
});

test('the same pictures at other times are covered whole', async () => {
  const frames = all();
  frames[2]!.picture.pts = 99n;
  const { left } = await rendered(await analysed(), frames);
  expect(left.map(({ whole }) => whole)).toEqual([false, false, true, false, false, false]);
});

test('a picture of another size is covered whole', async () => {
  const other = makeVideoFrame(0, makePicture(WIDTH, HEIGHT + 2, texture(0)));
  const { left } = await rendered(await analysed(), [other]);
  expect(left[0]!.whole).toBe(true);
});

test('a frame that was not inspected, or is broken now, is covered whole', async () => {
  const frames = all();
  frames[4] = { ...frames[4]!, broken: true };
  const { left } = await rendered(await analysed({ notInspected: [1] }), frames, [showAnn(0, 5)]);
  expect(left.map(({ whole }) => whole)).toEqual([false, true, false, false, true, false]);
});

test('frames beyond the analysed ones are covered whole, and those that never came are told', async () => {
  const { left, changedFrames } = await rendered(await analysed({ frames: 4 }), all(), [showAnn(0, 5)]);
  expect(left.map(({ whole }) => whole)).toEqual([false, false, false, false, true, true]);
  expect(changedFrames).toBe(2);
  expect((await rendered(await analysed(), all().slice(0, 4))).changedFrames).toBe(2);
});
