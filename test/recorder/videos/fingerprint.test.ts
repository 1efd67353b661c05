import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fingerprintOf, isSimilar, type Look } from '../../../recorder/videos/fingerprint.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { ffmpeg, hasFfmpeg } from '../../clips/ffmpeg.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

const folder = temporaryFolder();

test('lengths that differ, and what is no fingerprint, are not alike', () => {
  const look = { fingerprint: '0'.repeat(80), durationMs: 60_000 };
  expect(isSimilar(look, { ...look, durationMs: 61_000 })).toBe(true);
  expect(isSimilar(look, { ...look, durationMs: 62_000 })).toBe(false);
  expect(isSimilar(look, { ...look, fingerprint: `${'0'.repeat(79)}f` })).toBe(true);
  expect(isSimilar(look, { ...look, fingerprint: `${'0'.repeat(77)}fff` })).toBe(false);
  expect(isSimilar({ ...look, fingerprint: '' }, { ...look, fingerprint: '' })).toBe(false);
});

describe.skipIf(!hasFfmpeg)('of clips', () => {
  let original: Look;
  const path = join(folder, 'in.mp4');
  const look = async (input: string, durationMs = 2000): Promise<Look> => {
    const signal = new AbortController().signal;
    return { fingerprint: await fingerprintOf(input, durationMs, signal), durationMs };
  };

  beforeAll(async () => {
    await makeFaceClip(path, { motion: 'pan' });
    original = await look(path);
  });

  test.each([
    ['smaller', ['-vf', 'scale=320:180']],
    ['coarser', ['-crf', '38']],
    ['in another codec', ['-c:v', 'mpeg4', '-q:v', '8']],
    ['brighter', ['-vf', 'eq=brightness=0.06']],
  ])('a copy that is %s is alike', async (name, options) => {
    const copy = join(folder, `${name}.mp4`);
    await ffmpeg('-i', path, ...options, copy);
    expect(isSimilar(original, await look(copy))).toBe(true);
  });

  test('other people, another motion and a mirror are not', async () => {
    const mirror = join(folder, 'mirror.mp4');
    await ffmpeg('-i', path, '-vf', 'hflip', mirror);
    const others = join(folder, 'others.mp4');
    await makeFaceClip(others, { motion: 'pan' }, FIVE_PEOPLE);
    for (const other of [mirror, others]) expect(isSimilar(original, await look(other)), other).toBe(false);
  });

  test('past the end there is no picture, and that is said', async () => {
    await expect(look(path, 60_000)).rejects.toMatchObject({ code: 'bad-media' });
  });
});
