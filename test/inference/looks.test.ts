import type { Frame } from 'node-av';
import { afterEach, describe, expect, test } from 'vitest';
import { type LookOptions, Looks } from '../../inference/detect/looks.ts';
import type { Detection } from '../../inference/track/box.ts';
import { makePicture, texture } from '../clips/picture.ts';
import { seen } from './synthetic-tracks.ts';

const [WIDTH, HEIGHT] = [128, 64] as const;
const OPTIONS: LookOptions = { inputPx: 64, sharpEveryFrames: 6, sharpInputPx: 128, turnEveryFrames: 4, minScore: 0.1 };

interface Asked {
  readonly width: number;
  readonly height: number;
  readonly inputPx: number;
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function looksAt(answer: (asked: Asked, count: number) => Detection[], options: Partial<LookOptions> = {}) {
  const asked: Asked[] = [];
  const detector = {
    name: 'scripted',
    detect: async ({ width, height }: Frame, inputPx: number) => {
      asked.push({ width, height, inputPx });
      return answer(asked.at(-1)!, asked.length);
    },
    close: async () => {},
  };
  const looks = new Looks(detector, { ...OPTIONS, ...options });
  const picture = makePicture(WIDTH, HEIGHT, texture(1));
  open.push(looks, { close: () => picture.free() });
  /** What was asked of the detector for one frame. */
  const at = async (frame: number) => {
    const before = asked.length;
    const found = await looks.look(frame, picture);
    return { found, asked: asked.slice(before) };
  };
  return { looks, at };
}

const isTurned = ({ width, height }: Asked) => width < height;
const nobody = () => [];

describe('which looks are taken', () => {
  test('the first one in all ways; then plain, sharp and turned ones, each in its own time', async () => {
    const { at } = looksAt(nobody);
    const kinds: string[] = [];
    for (let frame = 0; frame <= 12; frame += 2) {
      const { asked } = await at(frame);
      kinds.push(asked.map((one) => (isTurned(one) ? 't' : one.inputPx === 128 ? 'S' : 'p')).join(''));
    }
    expect(kinds).toEqual(['Stt', 'p', 'pt', 'S', 'pt', 'p', 'St']);
  });

  test('a new scene is looked at in all ways, once', async () => {
    const { looks, at } = looksAt(nobody);
    await at(0);
    looks.afresh(2);
    expect((await at(2)).asked).toHaveLength(3);
    // The look at its first frame was under way, or done, when the scene was seen to be new.
    looks.afresh(2);
    expect((await at(3)).asked).toHaveLength(1);
  });

  test('a look that fails is taken again in the same ways', async () => {
    const { at } = looksAt((_, count) => {
      if (count === 2) throw new Error('the model failed');
      return [];
    });
    await expect(at(0)).rejects.toThrow('the model failed');
    expect((await at(1)).asked).toHaveLength(3);
  });

  test('none is turned, sharp or in tiles where that is not asked for', async () => {
    const { at } = looksAt(nobody, { sharpEveryFrames: 0, turnEveryFrames: 0, sharpTiles: true });
    for (const frame of [0, 10, 20]) {
      expect((await at(frame)).asked).toEqual([{ width: WIDTH, height: HEIGHT, inputPx: 64 }]);
    }
  });
});

describe('turned looks', () => {
  /** Sees one face in the left upper corner of one of the turned pictures. */
  const onOneSide = (turn: number, score: number) => {
    let turned = 0;
    return (asked: Asked) => (isTurned(asked) && ++turned % 2 === turn ? [seen(2, 4, 10, score)] : []);
  };

  test('what they see is told in pixels of the picture, for a little less', async () => {
    // At the picture's own size.
    const options = { inputPx: WIDTH };
    const first = await looksAt(onOneSide(1, 0.9), options).at(0);
    // Clockwise: the picture's left lower corner comes to the upper left.
    expect(first.found).toMatchObject([{ x: 4, y: HEIGHT - 12, w: 10, h: 10, score: expect.closeTo(0.8) }]);
    const second = await looksAt(onOneSide(0, 0.9), options).at(0);
    expect(second.found).toMatchObject([{ x: WIDTH - 14, y: 2, w: 10, h: 10 }]);
  });

  test('a face that only they see has its turn repeated at each look, until it is gone for some', async () => {
    let isThere = true;
    const { at } = looksAt((asked) => (isTurned(asked) && isThere ? [seen(2, 4, 10)] : []), { turnEveryFrames: 100 });
    await at(0);
    for (const frame of [2, 4]) expect((await at(frame)).asked.filter(isTurned)).toHaveLength(2);
    // As sharp as the upright look beside it.
    expect((await at(6)).asked.map(({ inputPx }) => inputPx)).toEqual([128, 128, 128]);
    isThere = false;
    const counts: number[] = [];
    for (let frame = 8; frame < 20; frame += 2) counts.push((await at(frame)).asked.filter(isTurned).length);
    expect(counts).toEqual([2, 2, 2, 2, 2, 0]);
  });

  test('one that the upright look sees better is one face, and no reason to turn', async () => {
    const { at } = looksAt((asked) => (isTurned(asked) ? [seen(4, 20, 20, 0.8)] : [seen(20, HEIGHT - 24, 20, 0.9)]), {
      turnEveryFrames: 100,
      inputPx: 128,
    });
    const sides = (await at(0)).found.filter(({ x }) => Math.abs(x - 20) < 2);
    expect(sides).toHaveLength(1);
    expect(sides[0]!.score).toBe(0.9);
  });
});

test('a sharp look in tiles sees each part of the picture at its full size', async () => {
  const { at } = looksAt(({ width }) => (width === HEIGHT ? [seen(10, 10, 8)] : []), {
    sharpTiles: true,
    turnEveryFrames: 0,
  });
  const { found, asked } = await at(0);
  const tiles = asked.slice(1);
  expect(tiles.length).toBeGreaterThan(1);
  for (const tile of tiles) expect(tile).toEqual({ width: HEIGHT, height: HEIGHT, inputPx: HEIGHT });
  const lefts = found.map(({ x }) => x).sort((a, b) => a - b);
  expect(lefts[0]).toBe(10);
  expect(lefts.at(-1)).toBe(WIDTH - HEIGHT + 10);
});

test('a box that can be none fails the look', async () => {
  const { at } = looksAt(() => [{ x: Number.NaN, y: 0, w: 1, h: 1, score: 0.5 }]);
  await expect(at(0)).rejects.toMatchObject({ code: 'run-failed' });
});
