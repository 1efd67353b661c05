import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blurFile } from '../../../inference/blur-file.ts';
import { ffmpeg, hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { readPictures } from '../../clips/read-media.ts';
import { readReport } from '../../clips/report.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { blurClip, expectInSync, expectSame, expectSameColours, expectSameTimes } from './blur-and-compare.ts';
import { makeFormatClip } from './format-clip.ts';

const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '10', '-pix_fmt', 'yuv420p'];
const AAC = ['-c:a', 'aac'];
/** Sound may begin before the first picture by what an encoder runs up on. */
const MAX_START_SECONDS = 0.1;
/** 33 bits of 90 kHz, less half a second. */
const JUST_BEFORE_WRAP = String(2 ** 33 / 90_000 - 0.5);

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const join2 = (a: string, b: string, to: string) => execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', a, b, to]);

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  test.each([
    ['Matroska, from 100 s on', 'late.mkv', ['-output_ts_offset', '100']],
    ['MP4, from 3 s on', 'late.mp4', ['-output_ts_offset', '3']],
    ['MPEG-TS, 26 hours into a broadcast, where its clock wraps', 'wrap.ts', ['-output_ts_offset', JUST_BEFORE_WRAP]],
  ])('what does not start at 0 does: %s', async (_, name, options) => {
    const input = await makeFormatClip(folder, name, { options: [...H264, '-bf', '2', ...AAC, ...options] });
    const comparison = await blurClip(input, at(`${name}.mp4`));
    expectSame(comparison);
    expect(comparison.output.seconds[0]).toBeLessThan(MAX_START_SECONDS);
  });

  test('sound that begins a second before the pictures still does', async () => {
    const clip = await makeFormatClip(folder, 'plain.mp4', { options: [...H264, ...AAC] });
    const delayed = ['-itsoffset', '1', '-i', clip, '-i', clip, '-map', '0:v', '-map', '1:a', '-c', 'copy'];
    await ffmpeg(...delayed, at('shifted.mkv'));
    const comparison = await blurClip(at('shifted.mkv'), at('shifted.mp4'));
    expectSameTimes(comparison);
    const { source, output } = comparison;
    const offset = (clip: typeof source) => clip.seconds[0]! - clip.sound[0]!.tones[0]!;
    expect(Math.abs(offset(output) - offset(source))).toBeLessThan(0.002);
    expect(output.seconds[0]).toBeGreaterThan(0.9);
  });

  test.each([
    ['back to its start', '0'],
    ['forward by an hour', '3600'],
  ])('a broadcast whose clock jumps %s goes on, in sync', async (_, offset) => {
    const first = await makeFormatClip(folder, 'first.ts', { options: [...H264, ...AAC] });
    const second = await makeFormatClip(folder, 'second.ts', {
      // As a broadcaster's splicer marks it.
      options: [...H264, ...AAC, '-output_ts_offset', offset, '-mpegts_flags', '+initial_discontinuity'],
    });
    join2(first, second, at('jump.ts'));
    const comparison = await blurClip(at('jump.ts'), at('jump.mp4'));
    expect(comparison.result.frames).toBe(60);
    const { seconds } = comparison.output;
    const gaps = seconds.slice(1).map((time, n) => time - seconds[n]!);
    expect(Math.max(...gaps)).toBeLessThan(0.2);
    expect(Math.min(...gaps)).toBeGreaterThan(0.03);
    expectInSync(comparison);
    expectSameColours(comparison);
  });

  test('an edit list that cuts off the start is kept to', async () => {
    const whole = await makeFormatClip(folder, 'whole.mp4', { options: [...H264, '-g', '30', '-bf', '2', ...AAC] });
    // Copied from the middle of a group of pictures: what comes before is in the file, and not to be shown.
    await ffmpeg('-ss', '0.4', '-i', whole, '-c', 'copy', at('cut.mp4'));
    const comparison = await blurClip(at('cut.mp4'), at('cut.out.mp4'));
    expect(comparison.result.frames).toBe(20);
    expectSame(comparison);
  });

  test('a variable frame rate is kept, down to a picture that stays for seconds', async () => {
    const filters = "select='not(eq(mod(n,5),2))',setpts='PTS+gt(N,14)*4/TB'";
    const options = [...H264, ...AAC, '-vsync', 'vfr', '-video_track_timescale', '90000'];
    const input = await makeFormatClip(folder, 'variable.mp4', { filters, options });
    const comparison = await blurClip(input, at('variable.out.mp4'));
    expect(comparison.output.seconds.at(-1)).toBeGreaterThan(4.5);
    expectSameTimes(comparison);
    expectSameColours(comparison);
  });

  test.each([
    ['longer than the video', 1.2, 3],
    ['shorter than the video', 2, 1],
  ])('sound that is %s stays so', async (_, video, sound) => {
    const clip = await makeFormatClip(folder, 'long.mp4', { seconds: 3, options: [...H264, ...AAC] });
    const parts = ['-t', String(video), '-i', clip, '-t', String(sound), '-i', clip];
    await ffmpeg(...parts, '-map', '0:v', '-map', '1:a', ...H264, ...AAC, at('uneven.mp4'));
    const comparison = await blurClip(at('uneven.mp4'), at('uneven.out.mp4'));
    expectSame(comparison);
    expect(comparison.output.sound[0]!.endSeconds).toBeCloseTo(sound, 1);
  });

  test('a GIF keeps the time of each of its pictures', async () => {
    const filters = "select='not(mod(n,3))',setpts='(N*8+gt(N,4)*50)/100/TB'";
    const input = await makeFormatClip(folder, 'slow.gif', { filters, options: ['-an', '-vsync', 'vfr'] });
    const comparison = await blurClip(input, at('slow.mp4'));
    expectSameTimes(comparison);
    const { seconds } = comparison.output;
    expect(seconds[5]! - seconds[4]!).toBeGreaterThan(0.5);
  });

  test('raw H.264, in which no times are, plays at the rate that it names', async () => {
    const input = await makeFormatClip(folder, 'raw.h264', { options: [...H264, '-an', '-bf', '2'] });
    await blurFile({ input, output: at('raw.mp4') });
    const pictures = await readPictures(at('raw.mp4'));
    expect(pictures).toHaveLength(30);
    const gaps = pictures.slice(1).map(({ seconds }, n) => seconds - pictures[n]!.seconds);
    for (const gap of gaps) expect(gap).toBeCloseTo(1 / 25, 2);
  });

  test('a picture that claims to come years later comes next', async () => {
    const clip = await makeFormatClip(folder, 'sane.mkv', { options: [...H264, '-bf', '0', ...AAC] });
    const setts = `setts=ts='TS+gte(N,15)*${3 * 365 * 86_400}/TB'`;
    await ffmpeg('-i', clip, '-c', 'copy', '-bsf:v', setts, at('years.mkv'));
    const comparison = await blurClip(at('years.mkv'), at('years.mp4'));
    expect(comparison.result.frames).toBe(30);
    expect(comparison.output.endSeconds).toBeLessThan(1.4);
    expectInSync(comparison);
  });

  test('two hours of a picture every twenty seconds come out as two hours, every picture looked at', async () => {
    const filters = `setpts='N*20/TB'`;
    const options = [...H264, '-an', '-vsync', 'vfr', '-video_track_timescale', '1000'];
    const input = await makeFormatClip(folder, 'hours.mp4', { seconds: 360 / 25, filters, options });
    const report = at('hours.json');
    const result = await blurFile({ input, output: at('hours.out.mp4'), report });
    expect(result).toMatchObject({ frames: 360, coveredWhole: 0 });
    expect(Math.abs(result.durationMs - 7_200_000)).toBeLessThanOrEqual(20_000);
    const pictures = await readPictures(at('hours.out.mp4'));
    expect(pictures).toHaveLength(360);
    expect(pictures.at(-1)!.seconds).toBe(7180);
    const boxes = readReport(report).tracks.flatMap((track) => track.boxes);
    expect(boxes.length).toBeGreaterThan(3 * 360);
    // Twenty seconds lie between two pictures: one says nothing about the next.
    expect(new Set(boxes.filter(([, , , , , score]) => score !== null).map(([frame]) => frame)).size).toBe(360);
  });
});
