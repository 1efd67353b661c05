import { describe, expect, test } from 'vitest';
import { seededRandom } from '../clips/picture.ts';
import { DETECT_EVERY_FRAMES, type Run, runPipeline, WINDOW_FRAMES } from './scripted-pipeline.ts';
import { seen } from './synthetic-tracks.ts';

const FRAMES = 40;
const SEEDS = Array.from({ length: 60 }, (_, i) => i + 1);

interface Story {
  readonly failing: ReadonlySet<number>;
  readonly broken: ReadonlySet<number>;
  /** The first frame of each scene. */
  readonly scenes: readonly number[];
  readonly windowFrames: number;
  readonly detectEveryFrames: number;
}

/** Failures that come alone and in rows, damage, and cuts close together and far apart. */
function makeUp(seed: number): Story {
  const random = seededRandom(seed);
  const failureRate = random() * 0.5;
  const cutRate = random() * 0.25;
  const failing = new Set<number>();
  const broken = new Set<number>();
  const scenes = [0];
  for (let frame = 0; frame < FRAMES; frame++) {
    if (random() < (failing.has(frame - 1) ? 0.5 : failureRate)) failing.add(frame);
    if (random() < 0.08) broken.add(frame);
    if (frame > 0 && random() < cutRate) scenes.push(frame);
  }
  const detectEveryFrames = 1 + Math.floor(random() * (DETECT_EVERY_FRAMES + 3));
  const windowFrames = Math.floor(random() * 3) * WINDOW_FRAMES;
  return { failing, broken, scenes, windowFrames, detectEveryFrames };
}

const sceneOf = ({ scenes }: Story, frame: number) => scenes.findLastIndex((start) => start <= frame);

/** Why a frame may leave with its picture showing; null when it may not. */
function inspection(frame: number, { detector }: Run, story: Story): string | null {
  if (story.broken.has(frame)) return null;
  const looked = detector.answered;
  if (looked.includes(frame)) return 'detected';
  const before = looked.findLast((other) => other < frame);
  const after = looked.find((other) => other > frame);
  if (before === undefined || after === undefined) return null;
  if (after - before > story.detectEveryFrames) return null;
  return sceneOf(story, before) === sceneOf(story, after) ? 'bracketed' : null;
}

describe.each([
  ['one after the other', false],
  ['with looks beside', true],
])('frames that come in %s', (_, looksBeside) => {
  test.each(SEEDS)('none leaves that was not inspected, in story %i', (seed) => holds(seed, looksBeside));
});

async function holds(seed: number, looksBeside: boolean): Promise<void> {
  const story = makeUp(seed);
  const { failing, broken, windowFrames, detectEveryFrames } = story;
  const run = await runPipeline(
    FRAMES,
    async (frame) => {
      // A look takes its time: others come in meanwhile.
      if (looksBeside) await new Promise(setImmediate);
      if (failing.has(frame)) throw new Error('the model failed');
      return frame % 5 === 0 ? [] : [seen(20, 12, 20)];
    },
    { broken, windowFrames, detectEveryFrames, looksBeside, sceneOf: (frame) => sceneOf(story, frame) + 1 },
  );

  expect(run.left.map(({ index }) => index)).toEqual(Array.from({ length: FRAMES }, (_, i) => i));
  expect(run.kept).toBe(0);
  run.detector.answered.sort((a, b) => a - b);
  const shown = run.left.filter(({ pixels }) => pixels !== 'covered whole');
  expect(shown.filter(({ index }) => inspection(index, run, story) === null)).toEqual([]);
  // And nothing is covered whole without need.
  const needless = run.left.filter(({ index, whole }) => whole && inspection(index, run, story) === 'detected');
  expect(needless).toEqual([]);
}
