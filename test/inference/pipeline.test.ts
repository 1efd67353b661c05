import { describe, expect, test } from 'vitest';
import type { Detection } from '../../inference/track/box.ts';
import { type Run, runPipeline, WINDOW_FRAMES } from './scripted-pipeline.ts';
import { seen } from './synthetic-tracks.ts';

const FRAMES = 20;
const nobody = () => [];
const someone = () => [seen(20, 12, 20)];
const failsOn =
  (...frames: number[]) =>
  (frame: number): Detection[] => {
    if (frames.includes(frame)) throw new Error('the model failed');
    return [];
  };

/** The frames whose pixels were covered whole. */
const whole = ({ left }: Run) => left.flatMap(({ index, pixels }) => (pixels === 'covered whole' ? [index] : []));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** What holds whatever happens: every frame leaves, once, in order; what is said of it is so; none is kept. */
function expectInOrder({ left, kept }: Run, frames = FRAMES): void {
  expect(left.map(({ index }) => index)).toEqual(range(0, frames - 1));
  for (const { whole: said, pixels } of left) expect(pixels === 'covered whole').toBe(said);
  expect(kept).toBe(0);
}

describe('when all goes well', () => {
  test('every third frame is looked at, and the last; a picture without faces is not touched', async () => {
    const run = await runPipeline(FRAMES, nobody);
    expectInOrder(run);
    expect(run.detector.asked).toEqual([0, 3, 6, 9, 12, 15, 18, 19]);
    expect(run.left.filter(({ pixels }) => pixels !== 'untouched')).toEqual([]);
  });

  test('a face is covered in every frame, between detections too, and the picture around it is not', async () => {
    const run = await runPipeline(FRAMES, someone);
    expectInOrder(run);
    for (const picture of run.left) {
      expect(picture.pixels).toBe('partly covered');
      expect(range(22, 38).every((x) => picture.changedAt(x, 22))).toBe(true);
      expect(picture.changedAt(2, 2)).toBe(false);
    }
  });

  test('a face is covered from before the detection that found it', async () => {
    const run = await runPipeline(FRAMES, (frame) => (frame >= 9 ? someone() : []));
    expectInOrder(run);
    expect(run.left.filter(({ covers }) => covers.length > 0).map(({ index }) => index)).toEqual(
      range(9 - WINDOW_FRAMES, FRAMES - 1),
    );
  });

  test('with no window every frame is looked at and leaves at once', async () => {
    const run = await runPipeline(5, nobody, { windowFrames: 0 });
    expectInOrder(run, 5);
    expect(run.detector.asked).toEqual([0, 1, 2, 3, 4]);
  });

  test('some frames are looked at in full sharpness: the first, and every so many-th', async () => {
    const sizes: number[] = [];
    const detector = {
      name: 'sizes',
      detect: async (_: unknown, inputPx: number) => {
        sizes.push(inputPx);
        return [];
      },
      close: async () => {},
    };
    await runPipeline(13, nobody, { detector, sharpEveryFrames: 6, inputPx: 320, sharpInputPx: 960 });
    expect(sizes).toEqual([960, 320, 960, 320, 960]);
  });

  test('no frame at all is no error', async () => {
    expectInOrder(await runPipeline(0, nobody), 0);
  });
});

describe('when the detector fails', () => {
  test('on one frame, that frame and those before it that waited for it are covered whole; the next is looked at', async () => {
    const run = await runPipeline(FRAMES, failsOn(6));
    expectInOrder(run);
    expect(whole(run)).toEqual([4, 5, 6]);
    expect(run.detector.asked.slice(2, 4)).toEqual([6, 7]);
    expect(run.pipeline.failures.count).toBe(1);
  });

  test('on several frames in a row, it is asked anew each frame until it answers', async () => {
    const run = await runPipeline(FRAMES, failsOn(3, 4, 5, 6, 7));
    expectInOrder(run);
    expect(whole(run)).toEqual(range(1, 7));
  });

  test('always, all is covered whole', async () => {
    const run = await runPipeline(FRAMES, failsOn(...range(0, FRAMES)));
    expectInOrder(run);
    expect(whole(run)).toEqual(range(0, FRAMES - 1));
    expect(run.pipeline.failures).toMatchObject({ count: FRAMES, last: expect.any(Error) });
  });

  test('at the very end only, what waited for it is covered whole', async () => {
    const run = await runPipeline(FRAMES, failsOn(18, 19));
    expectInOrder(run);
    expect(whole(run)).toEqual([16, 17, 18, 19]);
  });

  test('on the first frame only, the rest is as good as ever', async () => {
    const run = await runPipeline(FRAMES, failsOn(0));
    expect(whole(run)).toEqual([0]);
  });

  const bad = (part: Partial<Detection>) => [{ ...seen(20, 12, 20), ...part }];
  test.each<[string, Detection[]]>([
    ['a box at NaN', bad({ x: Number.NaN })],
    ['a box of NaN’s size', bad({ w: Number.NaN })],
    ['a box at infinity', bad({ y: Number.POSITIVE_INFINITY })],
    ['an endless box', bad({ h: Number.POSITIVE_INFINITY })],
    ['a box turned inside out', bad({ w: -20, h: -20 })],
    ['a score of NaN', bad({ score: Number.NaN })],
    ['no list at all', null as unknown as Detection[]],
  ])('by giving %s, what it did not see is covered whole', async (_, rubbish) => {
    const run = await runPipeline(FRAMES, (frame) => (frame === 6 ? rubbish : []));
    expectInOrder(run);
    expect(whole(run)).toEqual([4, 5, 6]);
  });
});

describe('when a frame is broken', () => {
  test('it is covered whole, whatever was found in it', async () => {
    const run = await runPipeline(FRAMES, someone, { broken: new Set([0, 4, 6, 19]) });
    expect(whole(run)).toEqual([0, 4, 6, 19]);
    expect(run.left.map(({ index }) => index)).toEqual(range(0, FRAMES - 1));
    expect(run.kept).toBe(0);
  });

  test('all of them, all is covered whole', async () => {
    const run = await runPipeline(FRAMES, nobody, { broken: new Set(range(0, FRAMES - 1)) });
    expectInOrder(run);
    expect(whole(run)).toHaveLength(FRAMES);
  });
});

describe('at a cut', () => {
  const cutAt = (frame: number) => ({ sceneOf: (index: number) => (index < frame ? 1 : 2) });

  test('both sides of it are looked at', async () => {
    const run = await runPipeline(FRAMES, nobody, cutAt(8));
    expectInOrder(run);
    expect(run.detector.asked).toEqual([0, 3, 6, 7, 8, 11, 14, 17, 19]);
    expect(whole(run)).toEqual([]);
  });

  test('that falls on a detection, the frame before it is looked at as well', async () => {
    expect((await runPipeline(FRAMES, nobody, cutAt(6))).detector.asked).toEqual([0, 3, 5, 6, 9, 12, 15, 18, 19]);
  });

  test('a face of the new scene is not covered in the old one, nor one of the old in the new', async () => {
    const left = (await runPipeline(FRAMES, (frame) => (frame < 8 ? [seen(4, 4, 14)] : [seen(44, 30, 14)]), cutAt(8)))
      .left;
    for (const { index, covers } of left) {
      expect(covers.every(({ box }) => (index < 8 ? box.x < 20 : box.x > 40))).toBe(true);
      expect(covers.length).toBeGreaterThan(0);
    }
  });

  test('where the old scene’s last frame can’t be looked at, what waited for it is covered whole', async () => {
    const run = await runPipeline(FRAMES, failsOn(7), cutAt(8));
    expect(whole(run)).toEqual([7]);
    expect((await runPipeline(FRAMES, failsOn(8), cutAt(9))).left.filter((l) => l.whole).map((l) => l.index)).toEqual([
      7, 8,
    ]);
  });

  test('where the new scene’s first frame can’t be looked at, it is covered whole', async () => {
    expect(whole(await runPipeline(FRAMES, failsOn(8, 9), cutAt(8)))).toEqual([8, 9]);
  });
});

test('a window too short to reach the next detection covers what it can’t wait for', async () => {
  const run = await runPipeline(FRAMES, nobody, { windowFrames: 1 });
  expectInOrder(run);
  expect(whole(run)).toEqual([1, 4, 7, 10, 13, 16]);
});

test('a pipeline that is closed in the middle gives back the frames that it holds', async () => {
  const run = await runPipeline(8, someone, { flushed: false });
  expect(run.left).toHaveLength(8 - WINDOW_FRAMES);
  expect(run.kept).toBe(0);
});
