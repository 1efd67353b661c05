import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { turnVideo } from '../../clips/mp4-boxes.ts';
import { readMedia } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { blurClip, expectInSync, expectSame, expectSameColours, expectSameTimes } from './blur-and-compare.ts';
import { makeFormatClip } from './format-clip.ts';

const X264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '10', '-pix_fmt', 'yuv420p'];
const AAC = ['-c:a', 'aac'];
/** Says at its start that it does not go on from what was before, as a broadcaster's splicer does. */
const SPLICED = ['-mpegts_flags', '+initial_discontinuity'];
/** One picture of both fields, as the engine makes it. */
const DEINTERLACED = 'bwdif=mode=send_frame';
/** Two deinterlacers of one kind in two versions. */
const MIN_DEINTERLACED_PSNR_DB = 33;
const [BT709, SDR] = [1, 1];

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

/** Fields of two moments, 50 a second, in frames of 25. */
const fields = (first: 'top' | 'bottom', pixels: string) =>
  `tinterlace=interleave_${first},fieldorder=${first === 'top' ? 't' : 'b'}ff,format=${pixels}`;

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  test.each([
    [
      'top field first, H.264 in MPEG-TS',
      'tff.ts',
      fields('top', 'yuv420p'),
      [...X264, '-flags', '+ilme+ildct', '-x264opts', 'tff=1', ...AAC],
    ],
    [
      'bottom field first, MPEG-2 in MPEG-PS',
      'bff.vob',
      fields('bottom', 'yuv420p'),
      ['-c:v', 'mpeg2video', '-q:v', '2', '-flags', '+ilme+ildct', '-top', '0', '-c:a', 'mp2'],
    ],
    [
      'top field first, ProRes of 10 bit 4:2:2 in MOV',
      'tff.mov',
      fields('top', 'yuv422p10le'),
      ['-c:v', 'prores_ks', '-flags', '+ildct', '-field_order', 'tt', '-c:a', 'pcm_s16le'],
    ],
  ])('fields become whole pictures, which the report tells: %s', async (_, name, filters, options) => {
    const input = await makeFormatClip(folder, name, { fps: 50, filters, options });
    const comparison = await blurClip(input, at(`${name}.mp4`), {}, DEINTERLACED);
    expectSame(comparison, MIN_DEINTERLACED_PSNR_DB);
    expect(comparison.warnings).toEqual([expect.stringMatching(/interlaced/)]);
    const { input: reported } = JSON.parse(readFileSync(at(`${name}.mp4.json`), 'utf8'));
    expect(reported.adaptations).toEqual(['deinterlaced']);
  });

  test('whole pictures that are followed by fields come out in order, each in its time', async () => {
    const whole = await makeFormatClip(folder, 'whole.ts', { options: [...X264, ...AAC] });
    const filters = fields('top', 'yuv420p');
    const options = [...X264, '-flags', '+ilme+ildct', '-x264opts', 'tff=1', ...AAC, ...SPLICED];
    const interlaced = await makeFormatClip(folder, 'fields.ts', { fps: 50, filters, options });
    const both = at('both.ts');
    execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', whole, interlaced, both]);
    const comparison = await blurClip(both, at('both.mp4'), {}, 'bwdif=mode=send_frame:deint=interlaced');
    expect(comparison.result.frames).toBe(60);
    expectSameColours(comparison, MIN_DEINTERLACED_PSNR_DB);
  });

  test('a clip stored on its side comes out upright, its pixels’ shape turned with it', async () => {
    const filters = 'transpose=cclock,scale=160:320,setsar=9/8';
    const input = await makeFormatClip(folder, 'side.mp4', { filters, options: [...X264, ...AAC] });
    turnVideo(input);
    const comparison = await blurClip(input, at('upright.mp4'));
    expectSame(comparison);
    expect([comparison.output.width, comparison.output.height]).toEqual([320, 160]);
    expect(comparison.tags.pixelShape).toBeCloseTo(8 / 9, 3);
    expect((await readMedia(at('upright.mp4'))).hasDisplayMatrix).toBe(false);
  });

  test.each([
    ['said by the codec', 'sar.mp4', ['-c:v', 'libx264', '-crf', '10', '-pix_fmt', 'yuv420p', ...AAC], '.mp4'],
    ['said by the container alone', 'sar.mov', ['-c:v', 'mjpeg', '-q:v', '2', '-c:a', 'pcm_s16le'], '.mp4'],
    [
      'said by the codec, into WebM',
      'sar.mkv',
      ['-c:v', 'libx264', '-crf', '10', '-pix_fmt', 'yuv420p', ...AAC],
      '.webm',
    ],
  ])('pixels that are not square stay so: %s', async (_, name, options, ending) => {
    const filters = 'scale=240:180,setsar=4/3,format=yuvj420p';
    const input = await makeFormatClip(folder, name, { filters, options });
    const comparison = await blurClip(input, at(`${name}${ending}`));
    expectSame(comparison);
    expect(comparison.tags.pixelShape).toBeCloseTo(4 / 3, 3);
  });

  test.each([
    ['4:2:0', 'odd.webm', 'yuv420p', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '4M']],
    ['4:4:4', 'odd.mkv', 'yuv444p', ['-c:v', 'libx264', '-crf', '10']],
  ])('odd sides lose their last row and column, and nothing is scaled: %s', async (_, name, pixels, options) => {
    const filters = `scale=321:181,format=${pixels}`;
    const input = await makeFormatClip(folder, name, { filters, options: [...options, '-c:a', 'libopus'] });
    const comparison = await blurClip(input, at(`${name}.mp4`));
    expectSame(comparison);
    expect([comparison.output.width, comparison.output.height]).toEqual([320, 180]);
  });

  test.each([
    ['PQ', 'smpte2084'],
    ['HLG', 'arib-std-b67'],
  ])('HDR (%s) is mapped to BT.709, and says so', async (_, transfer) => {
    const hdr = `min=170m:tin=709:pin=709:rin=limited:m=2020_ncl:p=2020:t=${transfer}:r=limited:npl=200`;
    const filters = `format=yuv444p,zscale=${hdr},format=yuv420p10le`;
    const x265 = `log-level=error:crf=10:colormatrix=bt2020nc:transfer=${transfer}:colorprim=bt2020:range=limited`;
    const options = ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', x265, ...AAC];
    const input = await makeFormatClip(folder, `${transfer}.mp4`, { filters, options });
    const output = at(`${transfer}.out.mp4`);
    const plain =
      'zscale=t=linear:npl=100:p=709,format=gbrpf32le,tonemap=hable:desat=0,zscale=p=709:t=709:m=709:r=limited';
    const comparison = await blurClip(input, output, {}, plain);
    expectSame(comparison, MIN_DEINTERLACED_PSNR_DB);
    expect(comparison.tags).toMatchObject({ matrix: BT709, primaries: BT709, transfer: SDR });
    expect(comparison.warnings).toEqual([expect.stringMatching(/HDR/)]);
  });

  test('a clip of 3840 × 2160 is covered at its full size', async () => {
    const clip = { width: 3840, height: 2160, seconds: 0.12, options: [...X264, '-crf', '20', '-an'] };
    const input = await makeFormatClip(folder, '4k.mp4', clip);
    const comparison = await blurClip(input, at('4k.out.mp4'));
    expectSameTimes(comparison);
    expectSameColours(comparison);
    expect([comparison.output.width, comparison.output.height]).toEqual([3840, 2160]);
  });

  test('a single picture of fields is one picture', async () => {
    const options = [...X264, '-flags', '+ilme+ildct', '-x264opts', 'tff=1', '-an', '-frames:v', '1'];
    const input = await makeFormatClip(folder, 'one.ts', { fps: 50, filters: fields('top', 'yuv420p'), options });
    const comparison = await blurClip(input, at('one.mp4'), {}, DEINTERLACED);
    expect(comparison.result.frames).toBe(1);
    expectSameTimes(comparison);
  });

  test('the first size stays, whatever comes after it', async () => {
    const large = await makeFormatClip(folder, 'large.ts', { options: [...X264, ...AAC] });
    const filters = 'scale=240:136';
    const small = await makeFormatClip(folder, 'small.ts', { filters, options: [...X264, ...AAC, ...SPLICED] });
    execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', large, small, at('sizes.ts')]);
    const comparison = await blurClip(at('sizes.ts'), at('sizes.mp4'), {}, 'scale=320:180');
    expect([comparison.output.width, comparison.output.height, comparison.result.frames]).toEqual([320, 180, 60]);
    expectSameColours(comparison, MIN_DEINTERLACED_PSNR_DB);
    expectInSync(comparison);
  });
});
