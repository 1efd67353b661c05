import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { blurFile } from '../../inference/blur-file.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { readMedia, readPictures } from '../clips/read-media.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** WebM counts in milliseconds. */
const WEBM_TICK_SECONDS = 0.001;
/** AAC comes in packets of this length, and an encoder may need one more to start and one to end. */
const AAC_PACKET_SECONDS = 1024 / 48_000;

const folder = temporaryFolder();
const [H264, AAC, OPUS] = ['27', '86018', '86076'];

async function blurred(input: string) {
  const output = join(folder, 'out.mp4');
  const result = await blurFile({ input, output });
  return { result, output, media: await readMedia(output), pictures: await readPictures(output) };
}

function expectSameTimes(a: readonly { seconds: number }[], b: readonly { seconds: number }[]): void {
  expect(b).toHaveLength(a.length);
  for (const [i, { seconds }] of a.entries()) {
    expect(Math.abs(b[i]!.seconds - seconds)).toBeLessThanOrEqual(WEBM_TICK_SECONDS);
  }
}

test('VP9 and Opus in WebM become H.264 in MP4, with the Opus as it was', async () => {
  const clip = await makeFaceClip(join(folder, 'vp9.webm'), { codec: 'vp9', seconds: 1.5 });
  const { output, media, pictures } = await blurred(clip.path);
  const source = await readMedia(clip.path);
  expect(media.codecs).toEqual([H264, OPUS]);
  expect(media.fps).toBe(30);
  expectSameTimes(await readPictures(clip.path), pictures);
  expectSameTimes(source.audio, media.audio);
  expect(media.audio.every(({ data }, i) => data.equals(source.audio[i]!.data))).toBe(true);
  const { leakedPer1000 } = await measureLeaks({ source: clip.path, output, truth: clip.truth });
  expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
});

describe.skipIf(!hasFfmpeg)('made with ffmpeg', () => {
  test('VP8 and Vorbis in WebM become H.264 and AAC in MP4, in time with each other', async () => {
    const clip = await makeFaceClip(join(folder, 'source.mp4'), { seconds: 1 });
    const webm = join(folder, 'vp8.webm');
    const vp8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '4M'];
    await ffmpeg('-i', clip.path, ...vp8, '-c:a', 'libvorbis', webm);
    const { output, media, pictures } = await blurred(webm);
    expect(media.codecs).toEqual([H264, AAC]);
    expectSameTimes(await readPictures(webm), pictures);
    const source = await readMedia(webm);
    const end = (packets: readonly { seconds: number }[]) => packets.at(-1)!.seconds;
    expect(Math.abs(media.audio[0]!.seconds - source.audio[0]!.seconds)).toBeLessThanOrEqual(2 * AAC_PACKET_SECONDS);
    expect(Math.abs(end(media.audio) - end(source.audio))).toBeLessThanOrEqual(2 * AAC_PACKET_SECONDS);
    const { leakedPer1000 } = await measureLeaks({ source: clip.path, output, truth: clip.truth });
    expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  });

  test('fragmented MP4 is read', async () => {
    const clip = await makeFaceClip(join(folder, 'source.mp4'), { seconds: 0.5 });
    const input = join(folder, 'fragmented.mp4');
    await ffmpeg('-i', clip.path, '-c', 'copy', '-movflags', 'frag_keyframe+empty_moov', input);
    const { result, media, pictures } = await blurred(input);
    expect(pictures).toHaveLength((await readPictures(input)).length);
    expect(result.faces).toBeGreaterThanOrEqual(3);
    expect(media.kinds).toEqual(['video', 'audio']);
  });
});
