import { mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Detector } from '../../inference/detect/detector.ts';
import { InferenceError } from '../../inference/errors.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasSystemFfmpeg } from '../clips/ffmpeg.ts';
import { mediaData } from '../clips/mp4-boxes.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';
import { findTrueFaces, openTestDetector } from '../clips/test-detector.ts';
import { withExternalMedia } from './external-media.ts';
import { watchedJob } from './watched-job.ts';

/** From this score on both detectors are sure; the engine covers what scores much less. */
const SURE_SCORE = 0.6;
/** A job on any small file, whatever it says of itself; whole ones take about 200 MiB. */
const MAX_BYTES = 700 * 2 ** 20;
const MAX_MS = 40_000;
/** What FFmpeg reads at most to find out what is in a file. */
const PROBED_BYTES = 5_000_000;

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
let detector: Detector;
let clip: FaceClip;
let output: string;

beforeAll(async () => {
  detector = await openTestDetector();
  clip = await makeFaceClip(at('whole.mp4'), { seconds: 1 });
});
beforeEach(() => {
  output = join(mkdtempSync(join(folder, 'outputs-')), 'out.mp4');
});
afterAll(() => detector?.close());

/** The file is refused in one line, as its own fault, or its faces are covered; in little time and memory. */
async function expectSafe(input: string, onStart?: () => void, truth = clip.truth): Promise<InferenceError | null> {
  const startedMs = performance.now();
  const { end, peakBytes } = await watchedJob(input, output, onStart);
  expect(performance.now() - startedMs).toBeLessThan(MAX_MS);
  expect(peakBytes).toBeLessThan(MAX_BYTES);
  if (end instanceof InferenceError) {
    expect([end.code, end.message, end.fault]).toEqual([end.code, end.message, 'input']);
    expect(end.message).toMatch(/^[^\n]+$/);
    expect(readdirSync(dirname(output))).toEqual([]);
    return end;
  }
  expect(readdirSync(dirname(output))).toEqual(['out.mp4']);
  expect(await findTrueFaces(output, truth, detector, { minScore: SURE_SCORE, everyFrames: 1 })).toEqual([]);
  return null;
}

/** The clip with some 32-bit numbers of one kind of box overwritten, counted from behind the box's type. */
function patched(box: string, numbers: Readonly<Record<number, number>>): string {
  const bytes = readFileSync(clip.path);
  for (let type = bytes.indexOf(box); type >= 0; type = bytes.indexOf(box, type + 4)) {
    for (const [offset, value] of Object.entries(numbers)) bytes.writeUInt32BE(value, type + 4 + Number(offset));
  }
  writeFileSync(at('patched.mp4'), bytes);
  return at('patched.mp4');
}

describe('a header that can’t be', () => {
  // Offsets: ISO/IEC 14496-12 §8.4.2 (mdhd), §8.5.2 (stsd's entries), §8.6.1.2 (stts), §8.7.3 (stsz), all in version 0.
  test.each<[string, string, Record<number, number>]>([
    ['no time base', 'mdhd', { 12: 0 }],
    ['a time base of a billionth of a second', 'mdhd', { 12: 1_000_000_000 }],
    ['a time base of 2³²', 'mdhd', { 12: 0xffff_ffff }],
    ['a length of 2³² ticks', 'mdhd', { 16: 0xffff_ffff }],
    ['pictures that take no time', 'stts', { 12: 0 }],
    ['pictures of 2³¹ ticks each', 'stts', { 12: 0x7fff_ffff }],
    ['two thousand million pictures', 'stts', { 8: 0x7fff_ffff }],
    ['pictures of 2³¹ bytes each', 'stsz', { 4: 0x7fff_ffff }],
    ['a size table of 2³² entries', 'stsz', { 8: 0xffff_ffff }],
    ['65535 × 65535 pixels', 'avc1', { 24: 0xffff_ffff }],
    ['no pixels', 'avc1', { 24: 0 }],
  ])('%s', async (_, box, numbers) => {
    await expectSafe(patched(box, numbers));
  });

  test.skipIf(!hasSystemFfmpeg)('a GIF of 65535 × 65535 (needs Debian’s ffmpeg)', async () => {
    await ffmpeg('-i', clip.path, '-an', '-t', '0.3', at('large.gif'));
    const bytes = readFileSync(at('large.gif'));
    // GIF89a §18: the logical screen's sides.
    bytes.writeUInt32LE(0xffff_ffff, 6);
    writeFileSync(at('large.gif'), bytes);
    expect(await expectSafe(at('large.gif'))).toMatchObject({ code: 'input-not-video' });
  });

  test.skipIf(!hasSystemFfmpeg)('an AVI of 2³¹ × 2³¹ at 10⁹ a second (needs Debian’s ffmpeg)', async () => {
    await ffmpeg('-i', clip.path, '-an', '-c:v', 'mjpeg', at('large.avi'));
    const bytes = readFileSync(at('large.avi'));
    const [strh, strf] = [bytes.indexOf('strh') + 8, bytes.indexOf('strf') + 8];
    bytes.writeUInt32LE(1, strh + 20);
    bytes.writeUInt32LE(1_000_000_000, strh + 24);
    bytes.writeInt32LE(0x7fff_ffff, strf + 4);
    bytes.writeInt32LE(0x7fff_ffff, strf + 8);
    writeFileSync(at('large.avi'), bytes);
    await expectSafe(at('large.avi'));
  });
});

describe('a file that names another', () => {
  let server: Server;
  let connections = 0;
  let url: string;

  beforeAll(async () => {
    server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/whole.mp4`;
  });
  afterAll(() => server.close());

  const lists: Readonly<Record<string, (target: string) => string>> = {
    m3u8: (target) => `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${target}\n#EXT-X-ENDLIST\n`,
    'm3u8 with a key': (target) =>
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="${target}"\n#EXTINF:1,\nx.ts\n#EXT-X-ENDLIST\n`,
    ffconcat: (target) => `ffconcat version 1.0\nfile '${target}'\n`,
    mpd: (target) =>
      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>${target}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
    sdp: () =>
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    asx: (target) => `<asx version="3.0"><entry><ref href="${target}"/></entry></asx>`,
    ffmetadata: (target) => `;FFMETADATA1\ntitle=${target}\n`,
  };

  test.each(Object.keys(lists))('%s: neither a file nor a server is asked, whatever it is called', async (kind) => {
    const own = kind.split(' ')[0];
    for (const [ending, target] of [
      [own, url],
      ['mp4', url],
      [own, at('whole.mp4')],
    ] as const) {
      const input = at(`list.${ending}`);
      writeFileSync(input, lists[kind]!(target));
      const { end } = await watchedJob(input, output);
      expect(end).toMatchObject({ code: 'input-not-video', fault: 'input' });
    }
    expect(connections).toBe(0);
    expect(readdirSync(dirname(output))).toEqual([]);
  });

  test('QuickTime whose pictures are in another file', async () => {
    // Its own are gone: any that came out would be the other's, which lie in the same places.
    const bytes = readFileSync(clip.path);
    const { start, end } = mediaData(bytes);
    writeFileSync(at('external.mov'), withExternalMedia(bytes.fill(0, start, end), clip.path));
    const { end: ending } = await watchedJob(at('external.mov'), output);
    expect(ending).toMatchObject({ name: 'InferenceError', fault: 'input' });
    expect(readdirSync(dirname(output))).toEqual([]);
  });
});

describe('a file that changes while it is read', () => {
  let long: FaceClip;

  beforeAll(async () => {
    // Larger than what is read ahead to find out what is in a file.
    long = await makeFaceClip(at('long.webm'), { width: 1280, height: 720, seconds: 8 });
    expect(statSync(long.path).size).toBeGreaterThan(PROBED_BYTES);
  });

  test('and becomes shorter', async () => {
    const input = at('shrinking.webm');
    const bytes = readFileSync(long.path);
    writeFileSync(input, bytes);
    const error = await expectSafe(input, () => truncateSync(input, bytes.length >> 1));
    expect(error).toMatchObject({ code: 'input-truncated' });
  });

  test('and becomes empty', async () => {
    const input = at('emptied.webm');
    writeFileSync(input, readFileSync(long.path));
    expect(await expectSafe(input, () => truncateSync(input, 0))).toMatchObject({ code: 'input-truncated' });
  });

  test('and becomes another', async () => {
    const input = at('exchanged.webm');
    const bytes = readFileSync(long.path);
    writeFileSync(input, bytes);
    await expectSafe(input, () => writeFileSync(input, Buffer.from(bytes).reverse()), long.truth);
  });
});

test('what is made from a damaged picture is covered whole as well, up to one that is made from nothing', async () => {
  const bytes = readFileSync(clip.path);
  const { start, end } = mediaData(bytes);
  // One place in the first third, of a clip that is all one group of pictures: two thirds and more depend on it.
  const at30 = Math.floor(start + 0.3 * (end - start));
  for (let i = 0; i < 400; i++) bytes[at30 + i] = (i * 167 + 13) & 255;
  writeFileSync(at('damaged.mp4'), bytes);
  const { end: ending } = await watchedJob(at('damaged.mp4'), output);
  if (ending instanceof InferenceError) throw ending;
  expect(ending.coveredWhole).toBeGreaterThan(ending.frames / 3);
  expect(ending.coveredWhole).toBeLessThan(ending.frames);
});
