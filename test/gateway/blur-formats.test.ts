import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AV_CODEC_ID_AV1, AV_CODEC_ID_OPUS } from 'node-av';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeFaceClip } from '../clips/face-clip.ts';
import { readMedia } from '../clips/read-media.ts';
import { endChildren, faceblur } from './run-cli.ts';

let folder: string;
const blur = (...args: string[]) => faceblur(['blur', ...args], { cwd: folder });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'faceblur-formats-'));
  await makeFaceClip(join(folder, 'in.mp4'), { seconds: 0.5 });
});
afterEach(endChildren);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the ending and --codec choose what is written', async () => {
  const { code, stderr } = await blur('in.mp4', '-o', 'out.webm', '--codec', 'av1', '--keep-metadata', '--quiet');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const media = await readMedia(join(folder, 'out.webm'));
  expect(media.format).toBe('matroska,webm');
  expect(media.codecs).toEqual([String(AV_CODEC_ID_AV1), String(AV_CODEC_ID_OPUS)]);
});

test.each([
  [
    'a codec that the container can not hold',
    ['-o', 'none.webm', '--codec', 'h264'],
    /\.webm holds vp9 or av1, not h264/,
  ],
  ['an ending that nothing is written as', ['-o', 'out.avi'], /out\.avi can't be written as \.avi; name it \.mp4/],
  ['a codec that there is not', ['-o', 'none.mp4', '--codec', 'h265'], /no such codec; available: h264, vp9, av1/],
])('%s is refused in one line, exit code 2, with nothing written', async (_, args, message) => {
  const { code, stdout, stderr } = await blur('in.mp4', ...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(existsSync(join(folder, args[1]!))).toBe(false);
});
