import { join } from 'node:path';
import { AV_CODEC_ID_AAC, AV_CODEC_ID_AC3, AV_CODEC_ID_FLAC, AV_CODEC_ID_OPUS } from 'node-av';
import { describe, expect, test } from 'vitest';
import { ffmpeg, hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { readMedia } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { blurClip, expectInSync, expectSameEnd } from './blur-and-compare.ts';
import { makeFormatClip } from './format-clip.ts';

const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '14', '-pix_fmt', 'yuv420p'];
const SURROUND = (channels: number) => `pan=${channels === 6 ? '5.1' : '7.1'}|${spread(channels)}`;
const spread = (channels: number) => Array.from({ length: channels }, (_, n) => `c${n}=c0`).join('|');

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  test.each([
    ['PCM of 8 bit at 11,025 Hz', 'u8.avi', ['-c:v', 'mpeg4', '-c:a', 'pcm_u8'], 'aresample=11025', AV_CODEC_ID_AAC, 1],
    ['PCM of 24 bit at 96 kHz', 's24.mov', [...H264, '-c:a', 'pcm_s24le'], 'aresample=96000', AV_CODEC_ID_AAC, 1],
    ['PCM of six channels', '6.avi', ['-c:v', 'mpeg4', '-c:a', 'pcm_s16le'], SURROUND(6), AV_CODEC_ID_AAC, 6],
    ['PCM of eight channels', '8.mkv', [...H264, '-c:a', 'pcm_s16le'], SURROUND(8), AV_CODEC_ID_AAC, 6],
    ['Vorbis', 'vorbis.mkv', [...H264, '-c:a', 'libvorbis'], 'aresample=44100', AV_CODEC_ID_AAC, 1],
    ['WMA', 'wma.asf', ['-c:v', 'msmpeg4v2', '-c:a', 'wmav2'], 'aresample=22050', AV_CODEC_ID_AAC, 1],
    ['DTS', 'dts.mkv', [...H264, '-c:a', 'dca', '-strict', '-2'], 'anull', AV_CODEC_ID_AAC, 1],
    ['MP2', 'mp2.ts', ['-c:v', 'mpeg2video', '-c:a', 'mp2'], 'anull', AV_CODEC_ID_AAC, 1],
    ['Opus', 'opus.mkv', [...H264, '-c:a', 'libopus'], 'anull', AV_CODEC_ID_OPUS, 1],
    ['AC-3 of six channels', 'ac3.ts', [...H264, '-c:a', 'ac3'], SURROUND(6), AV_CODEC_ID_AC3, 6],
    ['FLAC at 88,200 Hz', 'flac.mkv', [...H264, '-c:a', 'flac'], 'aresample=88200', AV_CODEC_ID_FLAC, 1],
  ])('%s is heard with its picture', async (_, name, options, audioFilters, codec, channels) => {
    const input = await makeFormatClip(folder, name, { audioFilters, options });
    const comparison = await blurClip(input, at(`${name}.mp4`));
    expectInSync(comparison);
    expectSameEnd(comparison);
    expect((await readMedia(at(`${name}.mp4`))).codecs[1]).toBe(String(codec));
    expect(comparison.output.sound[0]!.channels).toBe(channels);
  });

  test('all tracks of sound are kept, copied or coded anew, each in sync', async () => {
    const clip = await makeFormatClip(folder, 'one.mkv', { options: [...H264, '-c:a', 'pcm_s16le'] });
    const maps = ['-map', '0:v', '-map', '0:a', '-map', '0:a', '-map', '0:a', '-c:v', 'copy'];
    await ffmpeg('-i', clip, ...maps, '-c:a:0', 'aac', '-c:a:1', 'libvorbis', '-c:a:2', 'ac3', at('three.mkv'));
    const comparison = await blurClip(at('three.mkv'), at('three.mp4'));
    expect(comparison.output.sound).toHaveLength(3);
    expectInSync(comparison);
    expectSameEnd(comparison);
  });

  test('a long pause in sound that is coded anew stays a pause, and costs no memory', async () => {
    const clip = await makeFormatClip(folder, 'pause.mkv', { seconds: 2, options: [...H264, '-c:a', 'pcm_s16le'] });
    // The second second of sound comes an hour later.
    const pause = `setts=ts='TS+gte(TS*TB,1)*3600/TB'`;
    await ffmpeg('-i', clip, '-c', 'copy', '-bsf:a', pause, '-max_interleave_delta', '0', at('hour.mkv'));
    const { output } = await blurClip(at('hour.mkv'), at('hour.mp4'));
    expect(output.sound[0]!.endSeconds).toBeGreaterThan(3600);
    expect(output.sound[0]!.tones).toHaveLength(1);
  });
});
