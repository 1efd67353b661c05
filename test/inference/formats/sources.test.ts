import { join } from 'node:path';
import { AV_CODEC_ID_H264 } from 'node-av';
import { describe, expect, test } from 'vitest';
import { hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { blurClip, expectSame } from './blur-and-compare.ts';
import { readPictureTags } from './decoded-clip.ts';
import { type FormatClipOptions, makeFormatClip } from './format-clip.ts';

const X264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '10'];
const X265 = ['-c:v', 'libx265', '-preset', 'ultrafast'];
const VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-crf', '12', '-b:v', '4M'];
const AV1 = ['-c:v', 'libsvtav1', '-preset', '12', '-crf', '15'];
const AAC = ['-c:a', 'aac'];
/** A picture of few, scattered colours has more chroma than 4:2:0 can hold; compared is what 4:2:0 holds. */
const AS_420 = 'format=yuv444p,format=yuv420p';
/** The dots of a GIF are finer than a codec keeps. */
const MIN_DITHERED_PSNR_DB = 30;
const [LIMITED, FULL] = [1, 2];
const [BT709, BT470BG, BT601, BT2020_NCL] = [1, 5, 6, 9];

interface SourceClip extends FormatClipOptions {
  readonly sourceFilters?: string;
  readonly minPsnrDb?: number;
  /** How its tags come out, where it has some; else they come out as they are. */
  readonly tags?: object;
}

const folder = temporaryFolder();

/** The tags that x265 writes. */
const x265 = (tags: string) => ['-x265-params', `log-level=error:crf=10:${tags}`];

const SOURCES: readonly (readonly [string, string, SourceClip])[] = [
  ['H.264 in MP4', 'a.mp4', { filters: 'format=yuv420p', options: [...X264, ...AAC] }],
  [
    'H.264 of full range in MP4',
    'b.mp4',
    { filters: 'scale=out_range=pc,format=yuv420p', options: [...X264, '-color_range', 'pc', ...AAC] },
  ],
  [
    'H.264 tagged BT.709 in MOV',
    'c.mov',
    {
      filters: 'scale=out_color_matrix=bt709,format=yuv420p',
      options: [
        ...X264,
        '-colorspace',
        'bt709',
        '-color_primaries',
        'bt709',
        '-color_trc',
        'bt709',
        '-c:a',
        'pcm_s16le',
      ],
    },
  ],
  [
    'H.264 tagged BT.601 in Matroska',
    'd.mkv',
    { filters: 'format=yuv420p', options: [...X264, '-colorspace', 'smpte170m', '-color_trc', 'smpte170m', ...AAC] },
  ],
  [
    'H.264 4:2:2 of full range, BT.709, in Matroska',
    'e.mkv',
    {
      filters: 'scale=out_range=pc:out_color_matrix=bt709,format=yuv422p',
      options: [...X264, '-color_range', 'pc', '-colorspace', 'bt709', ...AAC],
    },
  ],
  ['H.264 4:4:4 in MP4', 'f.mp4', { filters: 'format=yuv444p', options: [...X264, ...AAC] }],
  [
    'H.264 of RGB in Matroska',
    'g.mkv',
    {
      filters: 'format=rgb24',
      options: ['-c:v', 'libx264rgb', '-crf', '8', ...AAC],
      tags: { matrix: BT709, range: LIMITED },
    },
  ],
  ['H.264 10 bit in MP4', 'h.mp4', { filters: 'format=yuv420p10le', options: [...X264, ...AAC] }],
  ['H.264 4:0:0 in Matroska', 'i.mkv', { filters: 'format=gray', options: [...X264, ...AAC] }],
  ['H.264 in MPEG-TS', 'j.ts', { filters: 'format=yuv420p', options: [...X264, '-bf', '3', ...AAC] }],
  ['H.264 in FLV', 'k.flv', { filters: 'format=yuv420p', options: [...X264, ...AAC, '-ar', '44100'] }],
  [
    'HEVC 10 bit, BT.2020, in MP4',
    'l.mp4',
    {
      filters: 'scale=out_color_matrix=bt2020,format=yuv420p10le',
      options: [...X265, ...x265('colormatrix=bt2020nc:colorprim=bt2020:transfer=bt2020-10'), ...AAC],
    },
  ],
  [
    'HEVC 4:4:4 10 bit of full range in Matroska',
    'm.mkv',
    {
      filters: 'scale=out_range=pc:out_color_matrix=bt709,format=yuv444p10le',
      options: [...X265, ...x265('colormatrix=bt709:range=full'), ...AAC],
    },
  ],
  ['HEVC in MPEG-TS', 'n.ts', { filters: 'format=yuv420p', options: [...X265, ...x265('bframes=4'), '-c:a', 'ac3'] }],
  [
    'VP8 and Vorbis in WebM',
    'o.webm',
    {
      options: ['-c:v', 'libvpx', '-cpu-used', '8', '-crf', '6', '-b:v', '4M', '-c:a', 'libvorbis'],
      // VP8 has only this one.
      tags: { matrix: BT470BG },
    },
  ],
  ['VP9 4:4:4 in WebM', 'p.webm', { filters: 'format=yuv444p', options: [...VP9, '-c:a', 'libopus'] }],
  ['VP9 10 bit in WebM', 'q.webm', { filters: 'format=yuv420p10le', options: [...VP9, '-c:a', 'libopus'] }],
  ['AV1 in WebM', 'r.webm', { filters: 'format=yuv420p', options: [...AV1, '-c:a', 'libopus'] }],
  ['AV1 10 bit in MP4', 's.mp4', { filters: 'format=yuv420p10le', options: [...AV1, ...AAC] }],
  [
    'MJPEG 4:2:2 in AVI',
    't.avi',
    { filters: 'format=yuvj422p', options: ['-c:v', 'mjpeg', '-q:v', '2', '-c:a', 'pcm_s16le'] },
  ],
  [
    'MJPEG 4:4:4 in MOV',
    'u.mov',
    { filters: 'format=yuvj444p', options: ['-c:v', 'mjpeg', '-q:v', '2', '-c:a', 'pcm_s24le'] },
  ],
  ['MPEG-4 in AVI', 'v.avi', { options: ['-c:v', 'mpeg4', '-q:v', '2', '-c:a', 'libmp3lame'] }],
  ['MPEG-2 in MPEG-PS', 'w.vob', { options: ['-c:v', 'mpeg2video', '-q:v', '2', '-c:a', 'mp2'] }],
  [
    'ProRes 4:2:2 in MOV',
    'x.mov',
    { filters: 'format=yuv422p10le', options: ['-c:v', 'prores_ks', '-profile:v', '2', '-c:a', 'pcm_s24le'] },
  ],
  [
    'ProRes 4:4:4 in MOV',
    'y.mov',
    {
      filters: 'scale=out_color_matrix=bt709,format=yuv444p10le',
      options: ['-c:v', 'prores_ks', '-profile:v', '4', '-colorspace', 'bt709', '-c:a', 'pcm_s24le'],
    },
  ],
  [
    'a GIF',
    'z.gif',
    {
      options: ['-an'],
      sourceFilters: AS_420,
      tags: { matrix: BT709, range: LIMITED },
      minPsnrDb: MIN_DITHERED_PSNR_DB,
    },
  ],
];

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  test.each(SOURCES)('%s comes out with its faces covered, in its time and its colours', async (_, name, clip) => {
    const input = await makeFormatClip(folder, name, clip);
    const before = await readPictureTags(input);
    const comparison = await blurClip(input, join(folder, `${name}.out.mp4`), {}, clip.sourceFilters);
    expectSame(comparison, clip.minPsnrDb);
    expect(comparison.warnings).toEqual([]);
    const { range, matrix, primaries, transfer } = before;
    // Limited is what it is where nothing is said.
    const isFull = range === FULL || before.pixels.startsWith('yuvj');
    const kept = { range: isFull ? FULL : expect.toBeOneOf([0, LIMITED]), matrix, primaries, transfer };
    expect(comparison.tags).toMatchObject({ codec: AV_CODEC_ID_H264, pixels: expect.stringMatching(/^yuvj?420p$/) });
    expect(comparison.tags).toMatchObject(clip.tags ?? kept);
  });

  test('the clips are tagged as their names say', async () => {
    const matrixOf = async (name: string) => (await readPictureTags(join(folder, name))).matrix;
    expect(await matrixOf('c.mov')).toBe(BT709);
    expect(await matrixOf('d.mkv')).toBe(BT601);
    expect(await matrixOf('l.mp4')).toBe(BT2020_NCL);
  });
});
