import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { blurFile } from '../../inference/blur-file.ts';
import type { InferenceErrorCode } from '../../inference/errors.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

const folder = temporaryFolder();
const outputs = join(folder, 'outputs');
const at = (name: string) => join(folder, name);
const isRoot = process.getuid?.() === 0;

beforeAll(() => mkdirSync(outputs));

/** The error is the input's fault, tells so in one line that names the file, and nothing is left behind. */
async function expectRefused(input: string, ...codes: InferenceErrorCode[]): Promise<void> {
  const blurring = blurFile({ input, output: join(outputs, 'out.mp4'), report: join(outputs, 'out.json') });
  const error = await blurring.then(
    () => 'it was blurred',
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'InferenceError', fault: 'input' });
  expect(codes).toContain(error.code);
  expect(error.message).toMatch(/^[^\n]+$/);
  expect(error.message).toContain(input);
  expect(readdirSync(outputs)).toEqual([]);
}

function written(name: string, content: string | Buffer): string {
  writeFileSync(at(name), content);
  return at(name);
}

test('a missing file', () => expectRefused(at('missing.mp4'), 'input-missing'));

test('a folder', () => expectRefused(folder, 'input-not-video'));

test('an empty file', () => expectRefused(written('empty.mp4', ''), 'input-empty'));

test('a text file called .mp4', () =>
  expectRefused(written('text.mp4', 'not a video\n'.repeat(500)), 'input-not-video'));

test('noise called .mp4', () => {
  const noise = Buffer.from(Uint32Array.from({ length: 50_000 }, (_, i) => (i * 2654435761) % 4294967296).buffer);
  return expectRefused(written('noise.mp4', noise), 'input-not-video', 'input-truncated');
});

test('an archive called .mp4', () => {
  // A zip's local file header with one stored file. @see APPNOTE.TXT §4.3.7
  const header = Buffer.alloc(30);
  header.write('PK\x03\x04', 'latin1');
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(5, 26);
  return expectRefused(
    written('zip.mp4', Buffer.concat([header, Buffer.from('a.txt'), Buffer.alloc(4096, 65)])),
    'input-not-video',
  );
});

test('a picture', async () => {
  const { FIVE_PEOPLE } = await import('../clips/face-photo.ts');
  await expectRefused(FIVE_PEOPLE.path, 'input-not-video');
});

test.skipIf(isRoot)('a file that may not be read (needs a user who is not root)', async () => {
  const path = written('locked.mp4', 'x');
  chmodSync(path, 0);
  await expectRefused(path, 'input-unreadable');
});

test('a pipe', async () => {
  execFileSync('mkfifo', [at('pipe.mp4')]);
  await expectRefused(at('pipe.mp4'), 'input-not-video');
});

describe('a file that points to another', () => {
  beforeAll(async () => {
    await makeFaceClip(at('target.mp4'), { seconds: 0.5, width: 320, height: 180 });
  });

  test.each([
    ['an HLS playlist', 'list.m3u8', '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ntarget.mp4\n#EXT-X-ENDLIST\n'],
    [
      'an HLS playlist called .mp4',
      'list.mp4',
      '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ntarget.mp4\n#EXT-X-ENDLIST\n',
    ],
    ['a concatenation', 'list.ffconcat', "ffconcat version 1.0\nfile 'target.mp4'\n"],
    ['a concatenation called .mp4', 'concat.mp4', "ffconcat version 1.0\nfile 'target.mp4'\n"],
    ['a DASH manifest', 'list.mpd', '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'],
    [
      'a session description',
      'list.sdp',
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    ],
  ])('%s', (_, name, content) => expectRefused(written(name, content), 'input-not-video'));

  test('a path that reads as another protocol', () => expectRefused(`concat:${at('target.mp4')}`, 'input-missing'));
});

describe('a file that was cut off', () => {
  beforeAll(async () => {
    await makeFaceClip(at('end.mp4'), { seconds: 3, width: 320, height: 180 });
    await makeFaceClip(at('whole.webm'), { seconds: 3, width: 320, height: 180 });
  });

  const cut = (name: string, part: number) => {
    const bytes = readFileSync(at(name));
    return written(`cut-${name}`, bytes.subarray(0, Math.floor(bytes.length * part)));
  };

  test.each([0.3, 0.6, 0.9])('MP4 with its index at the end, at %f', (part) =>
    expectRefused(cut('end.mp4', part), 'input-not-video', 'input-truncated'),
  );

  test.each([0.3, 0.6, 0.9])('WebM, at %f', (part) => expectRefused(cut('whole.webm', part), 'input-truncated'));

  test.skipIf(!hasFfmpeg).each([0.3, 0.6, 0.9])(
    'MP4 with its index at the start, at %f (made with ffmpeg)',
    async (part) => {
      await ffmpeg('-i', at('end.mp4'), '-c', 'copy', '-movflags', '+faststart', at('start.mp4'));
      await expectRefused(cut('start.mp4', part), 'input-truncated');
    },
  );

  test.skipIf(!hasFfmpeg)('sound without a picture (made with ffmpeg)', async () => {
    await ffmpeg('-i', at('end.mp4'), '-vn', '-c', 'copy', at('sound.mp4'));
    await expectRefused(at('sound.mp4'), 'input-not-video');
  });

  test.skipIf(!hasFfmpeg)('sound with a cover picture (made with ffmpeg)', async () => {
    const { FIVE_PEOPLE } = await import('../clips/face-photo.ts');
    const cover = ['-map', '0:a', '-map', '1:v', '-c:a', 'copy', '-c:v', 'mjpeg', '-disposition:v', 'attached_pic'];
    await ffmpeg('-i', at('end.mp4'), '-i', FIVE_PEOPLE.path, ...cover, at('song.mp4'));
    await expectRefused(at('song.mp4'), 'input-not-video');
  });
});
