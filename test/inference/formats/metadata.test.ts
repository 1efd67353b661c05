import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { blurFile } from '../../../inference/blur-file.ts';
import { descriptiveTags, languageTag } from '../../../inference/media/descriptive-tags.ts';
import { ffmpeg, hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { readMedia } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { makeFormatClip } from './format-clip.ts';

const KEPT = { title: 'A street', artist: 'Somebody', comment: 'On a Sunday', date: '2024', genre: 'Documentary' };
const MADE_AT = '2024-05-06T07:08:09.000000Z';
/** Where, by which device and with what it was made. */
const SECRETS = {
  location: '+48.8577+002.2950/',
  'location-eng': '+48.8578+002.2951/',
  'com.apple.quicktime.location.ISO6709': '+48.8579+002.2952+035.000/',
  make: 'SECRET-MAKE',
  model: 'SECRET-MODEL',
  'com.android.manufacturer': 'SECRET-ANDROID',
  serial_number: 'SECRET-SERIAL',
  xmp: '<?xpacket SECRET-XMP',
  encoder: 'SECRET-ENCODER',
  description: 'filmed at +48.8580+002.2953/ SECRET-PLACE',
  synopsis: '<x:xmpmeta SECRET-SYNOPSIS',
};
const TRACK_SECRETS = { handler_name: 'SECRET-HANDLER', title: 'SECRET-TRACK', vendor_id: 'SECR' };

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

test('of all tags only those that describe are kept, whatever case their names are in', () => {
  expect(descriptiveTags({ ...SECRETS, TITLE: 'A street', Creation_Time: MADE_AT, 'title-fra': 'x' })).toEqual({
    title: 'A street',
    creation_time: MADE_AT,
  });
  expect(descriptiveTags({ title: 'x'.repeat(5000) })).toEqual({});
  expect(descriptiveTags({ comment: 'a bill of +20 -5 and 3/4' })).toEqual({ comment: 'a bill of +20 -5 and 3/4' });
});

test('of a track only its language is kept', () => {
  expect(languageTag({ LANGUAGE: 'fra', handler_name: 'x', title: 'y' })).toEqual({ language: 'fra' });
  expect(languageTag({ language: 'SECRET TEXT' })).toEqual({});
});

describe.skipIf(!hasSystemFfmpeg)('made with ffmpeg', () => {
  beforeAll(async () => {
    const options = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
    const clip = await makeFormatClip(folder, 'plain.mp4', { seconds: 0.4, options });
    const lines = Object.entries({ ...KEPT, creation_time: MADE_AT, ...SECRETS }).map(([k, v]) => `${k}=${v}\n`);
    writeFileSync(at('tags.txt'), `;FFMETADATA1\n${lines.join('')}`);
    const track = Object.entries(TRACK_SECRETS).flatMap(([k, v]) => ['-metadata:s', `${k}=${v}`]);
    const all = ['-map_metadata', '1', ...track, '-metadata:s:a:0', 'language=fra', '-c', 'copy'];
    await ffmpeg('-i', clip, '-i', at('tags.txt'), ...all, '-movflags', 'use_metadata_tags', at('in.mp4'));
    await ffmpeg('-i', clip, '-i', at('tags.txt'), ...all, at('in.mkv'));
  });

  test.each([
    ['in.mp4', 'kept.mp4'],
    ['in.mkv', 'kept.mkv'],
    ['in.mp4', 'kept.mov'],
    ['in.mkv', 'kept.webm'],
  ])('--keep-metadata of %s into %s: title, artist, date; no place, device or program', async (input, output) => {
    expect(readFileSync(at(input)).includes('SECRET-MODEL')).toBe(true);
    await blurFile({ input: at(input), output: at(output), keepMetadata: true });
    const bytes = readFileSync(at(output));
    for (const secret of ['SECRET', '+48.85', '002.295']) expect(bytes.includes(secret), secret).toBe(false);
    const [file, , sound] = (await readMedia(at(output))).tags.map((tags) =>
      Object.fromEntries(Object.entries(tags).map(([name, value]) => [name.toLowerCase(), value])),
    );
    expect(file).toMatchObject({ title: KEPT.title, artist: KEPT.artist, comment: KEPT.comment });
    expect(String(file!.date)).toContain('2024');
    expect(file!.creation_time).toBe(MADE_AT);
    expect(sound!.language).toBe('fra');
  });

  test.each(['bare.mp4', 'bare.mkv', 'bare.webm', 'bare.mov'])('without it nothing is kept: %s', async (output) => {
    await blurFile({ input: at('in.mkv'), output: at(output) });
    const bytes = readFileSync(at(output));
    const values = [...Object.values(KEPT).filter((value) => value.length > 4), 'SECRET', '+48.85', '2024-05'];
    for (const value of values) expect(bytes.includes(value), value).toBe(false);
    const [file] = (await readMedia(at(output))).tags;
    expect(Object.keys(file!).filter((name) => /title|artist|creation_time|date/i.test(name))).toEqual([]);
  });
});
