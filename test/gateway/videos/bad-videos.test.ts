import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../../clips/ffmpeg.ts';
import { mediaData } from '../../clips/mp4-boxes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { VideoRig } from './video-rig.ts';

/** Limits that a small clip can be beyond. */
const MAX_BYTES = 300_000_000;
const MAX_SECONDS = 3600;

const folder = temporaryFolder();
let rig: VideoRig;
let clip: Buffer;

beforeAll(async () => {
  clip = readFileSync((await makeFaceClip(join(folder, 'in.mp4'), { seconds: 1 })).path);
  rig = await VideoRig.open({
    environment: { MAX_VIDEO_BYTES: `${MAX_BYTES}`, MAX_VIDEO_SECONDS: `${MAX_SECONDS}` },
  });
});
afterAll(() => rig?.close());
/** Whatever was wrong with it, nothing of it stays. */
afterEach(async () => {
  const { items } = (await rig.call('GET', '/v1/videos')).body;
  for (const { id } of items) expect((await rig.call('DELETE', `/v1/videos/${id}`)).status).toBe(204);
  expect(await rig.objects()).toEqual([]);
  expect(await rig.workFiles()).toEqual([]);
});

const make = (wanted: object, headers = {}) => rig.call('POST', '/v1/videos', wanted, headers);
const complete = (id: string, body?: object) => rig.call('POST', `/v1/videos/${id}/complete`, body);

test.each([
  ['traversal in its name', { filename: '../../etc/passwd', size: 1 }],
  ['a folder in its name', { filename: 'a\\b.mp4', size: 1 }],
  ['a name of dots', { filename: '..', size: 1 }],
  ['a line break in its name', { filename: 'a\nb.mp4', size: 1 }],
  ['a name that turns what follows around', { filename: 'a\u202e4pm.exe', size: 1 }],
  ['no name', { size: 1 }],
  ['an endless name', { filename: 'a'.repeat(300), size: 1 }],
  ['no size', { filename: 'a.mp4' }],
  ['no bytes', { filename: 'a.mp4', size: 0 }],
  ['half a byte', { filename: 'a.mp4', size: 1.5 }],
  ['a hash that is none', { filename: 'a.mp4', size: 1, sha256: 'abc' }],
  ['a field that is unknown', { filename: 'a.mp4', size: 1, owner: 'me' }],
])('a video with %s is refused', async (_, wanted) => {
  expect(await make(wanted)).toMatchObject({ status: 400, body: { error: { code: 'bad-request' } } });
});

test('a video that is too large is refused before it is sent', async () => {
  const refused = await make({ filename: 'a.mp4', size: MAX_BYTES + 1 });
  expect(refused).toMatchObject({ status: 413, body: { error: { code: 'upload-too-large' } } });
});

test('the same key is the same video, and no other one', async () => {
  const wanted = { filename: 'a.mp4', size: clip.length };
  const headers = { 'idempotency-key': 'once' };
  const [first, second] = await Promise.all([make(wanted, headers), make(wanted, headers)]);
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(second.body.id).toBe(first.body.id);
  const other = await make({ ...wanted, size: 5 }, headers);
  expect(other).toMatchObject({ status: 409, body: { error: { code: 'idempotency-conflict' } } });
  expect((await make(wanted, { 'idempotency-key': 'a b' })).status).toBe(400);
  expect((await make(wanted)).body.id).not.toBe(first.body.id);
});

test('completed before it is uploaded, it waits on', async () => {
  const { id } = (await make({ filename: 'a.mp4', size: clip.length })).body;
  expect(await complete(id)).toMatchObject({ status: 409, body: { error: { code: 'video-not-ready' } } });
  expect((await rig.state(id)).state).toBe('created');
});

test('bytes that are fewer, more or others than declared are not taken', async () => {
  const sha256 = createHash('sha256').update(clip).digest('hex');
  const { id, upload } = (await make({ filename: 'a.mp4', size: clip.length, sha256 })).body;
  const put = (body: Buffer) => fetch(upload.url, { method: 'PUT', headers: upload.headers, body });
  expect((await put(clip.subarray(1))).status).toBe(400);
  expect((await put(Buffer.concat([clip, clip]))).status).toBe(413);
  const others = Buffer.from(clip);
  others[others.length >> 1]! ^= 1;
  expect((await put(others)).status).toBe(400);
  expect((await complete(id)).body.error.code).toBe('video-not-ready');
  expect((await put(clip)).status).toBe(200);
  expect((await complete(id)).status).toBe(202);
  await rig.reaches(id, 'ready');
});

test('bytes that were replaced after they were looked at are found out', async () => {
  const { id, upload } = (await make({ filename: 'a.mp4', size: clip.length })).body;
  const put = (body: Buffer) => fetch(upload.url, { method: 'PUT', headers: upload.headers, body });
  await put(clip);
  await complete(id);
  await rig.reaches(id, 'ready');
  const others = Buffer.from(clip);
  others[others.length >> 1]! ^= 1;
  await put(others);
  await rig.call('POST', `/v1/videos/${id}/render`, {});
  expect((await rig.reaches(id, 'failed')).error.code).toBe('checksum-mismatch');
  expect((await rig.objects()).filter((key) => key.endsWith('.mp4'))).toEqual([]);
});

const PLAYLIST = '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n';
test.each([
  ['a zip', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(5000, 7)])],
  ['a playlist that points elsewhere', Buffer.from(PLAYLIST)],
  ['a list of files', Buffer.from('ffconcat version 1.0\nfile /etc/passwd\n')],
  ['one byte', Buffer.from([0])],
  ['a picture', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(5000, 1)])],
])('%s called .mp4 is told by its content', async (_, bytes) => {
  const id = await rig.upload(bytes);
  expect(await complete(id)).toMatchObject({ status: 415, body: { error: { code: 'unsupported-media-type' } } });
  expect(await rig.state(id)).toMatchObject({ state: 'failed', error: { code: 'unsupported-media-type' } });
  expect(await rig.objects()).toEqual([]);
  expect((await complete(id)).status).toBe(409);
});

test('what only begins like a video fails, and nothing of it is kept', async () => {
  const { start } = mediaData(clip);
  const broken = [
    [clip.subarray(0, clip.length - 20_000), 'input-truncated'],
    [Buffer.concat([clip.subarray(0, start), Buffer.from(PLAYLIST)]), 'input-truncated'],
    [Buffer.concat([Buffer.from('0000001c66747970', 'hex'), Buffer.from(PLAYLIST)]), 'input-not-video'],
  ] as const;
  for (const [bytes, code] of broken) {
    const id = await rig.upload(bytes);
    expect((await complete(id)).status).toBe(202);
    const { error } = await rig.reaches(id, 'failed');
    expect(error.code).toMatch(new RegExp(`^(${code}|input-truncated|input-not-video)$`));
    expect(error.message).toMatch(/^[a-z ]+$/);
    expect((await rig.call('GET', `/v1/videos/${id}/faces`)).status).toBe(409);
  }
  expect(await rig.objects()).toEqual([]);
});

test.skipIf(!hasFfmpeg)('ten hours are refused by the header alone', async () => {
  const path = join(folder, 'long.mkv');
  await ffmpeg('-itsscale', '36000', '-i', join(folder, 'in.mp4'), '-an', '-c', 'copy', path);
  const { analyse } = rig.calls;
  const id = await rig.upload(readFileSync(path));
  await complete(id);
  expect((await rig.reaches(id, 'failed')).error.code).toBe('too-long');
  expect(rig.calls.analyse).toBe(analyse);
  expect(await rig.objects()).toEqual([]);
});

test.skipIf(!hasFfmpeg)('more than 8K is refused before a frame is looked at', async () => {
  const path = join(folder, 'large.mp4');
  const source = ['-f', 'lavfi', '-i', 'color=gray:s=8704x4608:r=1:d=1'];
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1', '-pix_fmt', 'yuv420p', path);
  const { analyse } = rig.calls;
  const id = await rig.upload(readFileSync(path));
  await complete(id);
  expect((await rig.reaches(id, 'failed')).error).toMatchObject({
    code: 'too-many-pixels',
    message: expect.stringContaining('8704×4608'),
  });
  expect(rig.calls.analyse).toBe(analyse);
  expect(await rig.objects()).toEqual([]);
});

test('what comes too early, twice or for nobody is answered as the contract says', async () => {
  const id = await rig.upload(clip);
  for (const [method, path, body] of [
    ['GET', '/faces'],
    ['PATCH', '/faces', { visible: true }],
    ['POST', '/render', {}],
    ['GET', '/download'],
    ['GET', '/hls'],
  ] as const) {
    const early = await rig.call(method, `/v1/videos/${id}${path}`, body);
    expect(early, path).toMatchObject({ status: 409, body: { error: { code: 'video-not-ready' } } });
  }
  const twice = await Promise.all([complete(id), complete(id)]);
  expect(twice.map(({ status }) => status).sort()).toEqual([202, 409]);
  await rig.reaches(id, 'ready');
  expect(await complete(id)).toMatchObject({ status: 409, body: { error: { code: 'video-conflict' } } });

  const { length } = await rig.faces(id);
  for (const face of [0, length + 1, 'x', '1e1', '-1']) {
    const unknown = await rig.call('PATCH', `/v1/videos/${id}/faces/${face}`, { visible: true });
    expect(unknown, `${face}`).toMatchObject({ status: 404, body: { error: { code: 'face-not-found' } } });
  }
  const some = await rig.call('PATCH', `/v1/videos/${id}/faces`, { visible: true, faces: [1, length + 1] });
  expect(some.status).toBe(404);
  expect((await rig.faces(id)).every(({ visible }) => !visible)).toBe(true);

  const render = () => rig.call('POST', `/v1/videos/${id}/render`, {});
  const renders = await Promise.all([render(), render()]);
  expect(renders.map(({ status }) => status).sort()).toEqual([202, 409]);
  await rig.reaches(id, 'done');
  expect(rig.calls.render).toBeGreaterThan(0);
  expect((await rig.call('POST', `/v1/videos/${id}/cancel`)).body.error.code).toBe('video-conflict');
  expect((await rig.call('GET', `/v1/videos/${id}/download?format=exe`)).status).toBe(400);

  for (const policy of [{ mode: 'except', identities: ['nobody'] }, { style: 'none' }, { strength: 2 }]) {
    const refused = await rig.call('POST', `/v1/videos/${id}/render`, { policy });
    expect(refused.status).toBe('identities' in policy ? 422 : 400);
  }
  for (const nobody of ['0123456789abcdef', '%2e%2e%2fetc', 'x'.repeat(200)]) {
    expect((await rig.call('GET', `/v1/videos/${nobody}`)).status, nobody).toBeGreaterThanOrEqual(400);
    expect((await rig.call('POST', `/v1/videos/${nobody}/render`, {})).status, nobody).toBe(404);
  }
});

test('a large video comes in parts, and parts that are wrong or missing are told', async () => {
  const size = 70 * 2 ** 20;
  const { id, upload } = (await make({ filename: 'a.mp4', size })).body;
  expect(upload).toMatchObject({ partSize: 16 * 2 ** 20, completeWith: 'etags' });
  expect(upload.parts.map(({ number }: { number: number }) => number)).toEqual([1, 2, 3, 4, 5]);
  const bytes = Buffer.concat([clip, Buffer.alloc(size - clip.length)]);
  const parts: { number: number; etag: string }[] = [];
  for (const { number, url } of upload.parts) {
    const part = bytes.subarray((number - 1) * upload.partSize, number * upload.partSize);
    const sent = await fetch(url, { method: 'PUT', body: part });
    parts.push({ number, etag: sent.headers.get('etag')! });
  }
  expect((await complete(id)).body.error.message).toContain('parts');
  const wrong = [{ ...parts[0], etag: '"00"' }, ...parts.slice(1)];
  expect(await complete(id, { parts: wrong })).toMatchObject({ status: 400 });
  expect((await rig.state(id)).state).toBe('created');
  // Boxes of zeros follow the clip, which the container allows to be anything.
  expect((await complete(id, { parts })).status).toBe(202);
  await vi.waitFor(async () => expect((await rig.state(id)).state).toMatch(/ready|failed/), { timeout: 30_000 });

  const cut = (await make({ filename: 'a.mp4', size })).body;
  const sent = await fetch(cut.upload.parts[0].url, { method: 'PUT', body: bytes.subarray(0, cut.upload.partSize) });
  const one = [{ number: 1, etag: sent.headers.get('etag')! }];
  expect(await complete(cut.id, { parts: one })).toMatchObject({
    status: 400,
    body: { error: { code: 'upload-incomplete' } },
  });
  expect((await rig.state(cut.id)).state).toBe('failed');
});
