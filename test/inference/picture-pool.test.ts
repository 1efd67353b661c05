import { AV_FRAME_DATA_A53_CC } from 'node-av/constants';
import { afterEach, expect, test } from 'vitest';
import { PicturePool } from '../../inference/blur/picture-pool.ts';
import { closeFrame } from '../../inference/media/video-frame.ts';
import { lumaOf, makePicture, makeVideoFrame, texture } from '../clips/picture.ts';

const pools: PicturePool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

function makePool(): PicturePool {
  const pool = new PicturePool();
  pools.push(pool);
  return pool;
}

test('a copy has the pixels, the time and the number of the frame, and takes the frame over', () => {
  const picture = makePicture(64, 48, texture(1));
  const luma = lumaOf(picture);
  let closed = 0;
  const { frame, planes } = makePool().copy({ ...makeVideoFrame(7, picture, true), giveBack: () => closed++ });
  expect(lumaOf(frame.picture)).toEqual(luma);
  expect(frame).toMatchObject({ index: 7, broken: true });
  expect(frame.picture.pts).toBe(7n);
  expect(planes.map(({ width, height }) => [width, height])).toEqual([
    [64, 48],
    [32, 24],
    [32, 24],
  ]);
  expect(closed).toBe(1);
  closeFrame(frame);
  picture.free();
});

test('a picture that was given back is used again; one of another size is not', () => {
  const pool = makePool();
  const copy = (width: number) =>
    pool.copy(
      makeVideoFrame(
        0,
        makePicture(width, 48, () => 7),
      ),
    ).frame;
  const first = copy(64);
  const second = copy(64);
  expect(second.picture).not.toBe(first.picture);
  closeFrame(first);
  const third = copy(64);
  expect(third.picture).toBe(first.picture);
  closeFrame(second);
  const other = copy(32);
  expect(other.picture).not.toBe(second.picture);
  for (const frame of [third, other]) closeFrame(frame);
});

test('a picture that is used again carries nothing of the frame before: no captions, and no more memory each time', () => {
  const pool = makePool();
  const captions: (number | undefined)[] = [];
  for (const index of [1, 2, 3]) {
    const picture = makePicture(64, 48, () => 7);
    if (index < 3) picture.newSideData(AV_FRAME_DATA_A53_CC, 3).fill(index);
    const { frame } = pool.copy(makeVideoFrame(index, picture));
    captions.push(frame.picture.getSideData(AV_FRAME_DATA_A53_CC)?.[0]);
    closeFrame(frame);
  }
  expect(captions[1]).not.toBe(1);
  expect(captions[2]).toBeUndefined();
});
