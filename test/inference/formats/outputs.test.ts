import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AV_CODEC_ID_AAC, AV_CODEC_ID_AV1, AV_CODEC_ID_H264, AV_CODEC_ID_OPUS, AV_CODEC_ID_VP9 } from 'node-av';
import { beforeAll, describe, expect, test } from 'vitest';
import { blurFile } from '../../../inference/blur-file.ts';
import { chooseOutputKind, type VideoCodec } from '../../../inference/media/output-kind.ts';
import { hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { readMedia } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { blurClip, expectSame } from './blur-and-compare.ts';
import { makeFormatClip } from './format-clip.ts';

const CODEC_IDS = { h264: AV_CODEC_ID_H264, vp9: AV_CODEC_ID_VP9, av1: AV_CODEC_ID_AV1 } as const;
const [FULL, BT709] = [2, 1];

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

describe('the name of the output and the codec that is asked for', () => {
  test.each([
    ['out.mp4', undefined, 'mp4', 'h264'],
    ['out', undefined, 'mp4', 'h264'],
    ['OUT.MP4', 'av1', 'mp4', 'av1'],
    ['a.b/out.mov', undefined, 'mov', 'h264'],
    ['out.mkv', undefined, 'matroska', 'h264'],
    ['out.mkv', 'vp9', 'matroska', 'vp9'],
    ['out.webm', undefined, 'webm', 'vp9'],
    ['out.webm', 'av1', 'webm', 'av1'],
  ] as const)('%s with %s is %s of %s', (path, wanted, container, codec) => {
    expect(chooseOutputKind(path, wanted)).toEqual({ container, codec });
  });

  test.each([
    ['out.webm', 'h264', /\.webm holds vp9 or av1, not h264; for h264 name it \.mp4 or \.m4v or \.mov or \.mkv/],
    ['out.mov', 'vp9', /\.mov holds h264, not vp9/],
    ['out.avi', undefined, /out\.avi can't be written as \.avi; name it \.mp4/],
    ['out.gif', undefined, /\.gif/],
  ] as const)('%s with %s is refused in one line, before any work', async (name, codec, message) => {
    const options = { input: at('none.mp4'), output: at(name), codec: codec as VideoCodec | undefined };
    const refusal = await blurFile(options).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'bad-options', fault: 'input', message: expect.stringMatching(message) });
    expect((refusal as Error).message).not.toContain('\n');
    expect(existsSync(at(name))).toBe(false);
  });
});

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  beforeAll(async () => {
    const filters = 'scale=out_range=pc:out_color_matrix=bt709,format=yuv420p';
    const tags = ['-color_range', 'pc', '-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'];
    const options = ['-c:v', 'libx264', '-crf', '10', '-bf', '2', ...tags, '-c:a', 'pcm_s16le'];
    await makeFormatClip(folder, 'in.mkv', { filters, audioFilters: 'aresample=44100', options });
  });

  test.each([
    ['vp9', 'out.mp4', 'mov,mp4,m4a,3gp,3g2,mj2', AV_CODEC_ID_AAC],
    ['av1', 'out.mp4', 'mov,mp4,m4a,3gp,3g2,mj2', AV_CODEC_ID_AAC],
    ['vp9', 'out.webm', 'matroska,webm', AV_CODEC_ID_OPUS],
    ['av1', 'out.webm', 'matroska,webm', AV_CODEC_ID_OPUS],
    ['h264', 'out.mkv', 'matroska,webm', null],
    ['av1', 'out.mkv', 'matroska,webm', null],
    ['h264', 'out.mov', 'mov,mp4,m4a,3gp,3g2,mj2', null],
  ] as const)(
    '%s in %s: faces covered, times, sound, colours and their tags kept',
    async (codec, name, format, sound) => {
      const comparison = await blurClip(at('in.mkv'), at(`${codec}-${name}`), { codec });
      expectSame(comparison);
      expect(comparison.tags).toMatchObject({ codec: CODEC_IDS[codec], range: FULL, matrix: BT709, primaries: BT709 });
      const media = await readMedia(at(`${codec}-${name}`));
      expect([media.format, media.kinds]).toEqual([format, ['video', 'audio']]);
      // What the container holds as it is is not coded anew.
      const source = await readMedia(at('in.mkv'));
      expect(media.codecs[1]).toBe(sound === null ? source.codecs[1] : String(sound));
    },
  );

  test('nothing of the tool or of chance is written: the same clip twice is the same file', async () => {
    const twice: Buffer[] = [];
    for (const name of ['a.mkv', 'b.mkv']) {
      await blurFile({ input: at('in.mkv'), output: at(name) });
      twice.push(readFileSync(at(name)));
    }
    expect(twice[0]!.equals(twice[1]!)).toBe(true);
    expect(/Lav[cf]\d/.test(twice[0]!.toString('latin1'))).toBe(false);
  });
});
