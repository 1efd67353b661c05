import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { blurFile } from '../../inference/blur-file.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../clips/face-photo.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { readMedia } from '../clips/read-media.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

/** What tells nothing of the source: what kind of file and of track it is. */
const HARMLESS_TAGS = ['major_brand', 'minor_version', 'compatible_brands', 'language', 'handler_name', 'vendor_id'];
/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** Each is written somewhere into the source, and none may be anywhere in the output. */
const SECRETS = {
  title: 'SECRET-TITLE',
  artist: 'SECRET-ARTIST',
  comment: 'SECRET-COMMENT',
  location: '+48.8577+002.2950/',
  subtitle: 'SECRET-SUBTITLE',
  chapter: 'SECRET-CHAPTER',
  trackTitle: 'SECRET-TRACK',
  attachment: 'SECRET-ATTACHMENT',
};

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

/** A clip, another of other people, and what else a file may carry. */
async function makeParts() {
  const [clip] = [await makeFaceClip(at('a.mp4'), { seconds: 1 })];
  const other = await makeFaceClip(at('b.mp4'), { seconds: 1, width: 320, height: 180 }, FIVE_PEOPLE);
  writeFileSync(at('a.srt'), `1\n00:00:00,000 --> 00:00:00,900\n${SECRETS.subtitle}\n`);
  writeFileSync(at('note.txt'), SECRETS.attachment);
  const { title, artist, comment, location } = SECRETS;
  const tags = Object.entries({ title, artist, comment }).map(([name, value]) => `${name}=${value}\n`);
  const chapter = `[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=${SECRETS.chapter}\n`;
  writeFileSync(at('tags.txt'), `;FFMETADATA1\n${tags.join('')}location=${location}\n${chapter}`);
  return {
    clip,
    cover: FIVE_PEOPLE.path,
    inputs: ['-i', clip.path, '-i', other.path, '-i', at('a.srt'), '-i', at('tags.txt')],
  };
}

async function expectBare(output: string): Promise<void> {
  const media = await readMedia(output);
  expect(media.kinds).toEqual(['video', 'audio']);
  for (const tags of media.tags) {
    expect(Object.keys(tags).filter((name) => !HARMLESS_TAGS.includes(name.toLowerCase()))).toEqual([]);
  }
  const bytes = readFileSync(output);
  for (const secret of Object.values(SECRETS)) expect(bytes.includes(secret), secret).toBe(false);
  expect(bytes.includes('JFIF') || bytes.includes('\x89PNG')).toBe(false);
}

describe.skipIf(!hasFfmpeg)('made with ffmpeg: the output has the one video and its sound, and nothing else of', () => {
  test('an MP4 with a cover picture, another video, subtitles, chapters, tags and the place it was filmed', async () => {
    const { clip, cover, inputs } = await makeParts();
    const source = at('rich.mp4');
    const maps = ['-map', '0:v', '-map', '0:a', '-map', '1:v', '-map', '4:v', '-map', '2:s'];
    const kinds = ['-c', 'copy', '-c:v:2', 'mjpeg', '-c:s', 'mov_text', '-disposition:v:2', 'attached_pic'];
    const titles = ['-metadata:s:v:0', `title=${SECRETS.trackTitle}`, '-metadata:s:a:0', `title=${SECRETS.trackTitle}`];
    const tags = ['-map_metadata', '3', '-map_chapters', '3', ...titles, '-movflags', 'use_metadata_tags'];
    await ffmpeg(...inputs, '-i', cover, ...maps, ...kinds, ...tags, source);
    expect((await readMedia(source)).kinds.length).toBeGreaterThanOrEqual(5);
    expect(readFileSync(source).includes(SECRETS.title)).toBe(true);
    expect(readFileSync(source).includes(SECRETS.location)).toBe(true);

    const output = at('out.mp4');
    expect(await blurFile({ input: source, output })).toMatchObject({ width: 640, height: 360, frames: 30 });
    await expectBare(output);
    const { leakedPer1000 } = await measureLeaks({ source: clip.path, output, truth: clip.truth });
    expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  });

  test('a Matroska with an attachment, subtitles that outlast the video, chapters and tags', async () => {
    const { inputs } = await makeParts();
    writeFileSync(at('a.srt'), `1\n00:00:00,000 --> 00:00:09,000\n${SECRETS.subtitle}\n`);
    const source = at('rich.mkv');
    const maps = ['-map', '0:v', '-map', '0:a', '-map', '2:s', '-c', 'copy', '-c:s', 'srt'];
    const attached = ['-attach', at('note.txt'), '-metadata:s:t', 'mimetype=text/plain'];
    await ffmpeg(...inputs, ...maps, '-map_metadata', '3', '-map_chapters', '3', ...attached, source);
    expect(readFileSync(source).includes(SECRETS.attachment)).toBe(true);
    const output = at('out.mp4');
    expect(await blurFile({ input: source, output })).toMatchObject({ frames: 30 });
    await expectBare(output);
  });
});
