import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { measureLeaks } from '../../../bench/leak-measure.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { ffmpeg, hasFfmpeg } from '../../clips/ffmpeg.ts';
import { PEOPLE_TOLD } from '../../clips/live-detector.ts';
import { readMedia, readPictures } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { shownPerson } from './shown-person.ts';
import { VideoRig } from './video-rig.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** A face that is shown is one in nearly all frames: its first and last sightings bound it. */
const MIN_KEPT_VISIBLE = 0.9;

const folder = temporaryFolder();
let rig: VideoRig;
let clip: FaceClip;
let bytes: Buffer;
/** The video of the first test, which those after it go on with. */
let id: string;

beforeAll(async () => {
  clip = await makeFaceClip(join(folder, 'in.mp4'), { width: 1280, height: 720 }, FIVE_PEOPLE);
  bytes = readFileSync(clip.path);
  rig = await VideoRig.open();
});
afterAll(() => rig?.close());

test('an uploaded clip goes through faces and choice to an output that shows exactly the one person', async () => {
  id = await rig.upload(bytes, { title: 'Five people', sha256: createHash('sha256').update(bytes).digest('hex') });
  expect(await rig.state(id)).toMatchObject({
    state: 'created',
    title: 'Five people',
    size: bytes.length,
    width: null,
  });
  const completed = await rig.call('POST', `/v1/videos/${id}/complete`);
  expect(completed.status).toBe(202);
  expect(completed.body).toMatchObject({ id, state: 'analysing', job: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  const ready = await rig.reaches(id, 'ready');
  expect(ready).toMatchObject({ width: 1280, height: 720, fps: 30, durationMs: 2000, faces: PEOPLE_TOLD, error: null });
  const job = await rig.call('GET', `/v1/jobs/${completed.body.job}`);
  expect(job.body).toMatchObject({ kind: 'analyse', state: 'done', attempts: 1 });

  const faces = await rig.faces(id);
  expect(faces.map(({ face }) => face)).toEqual([1, 2, 3, 4, 5].slice(0, PEOPLE_TOLD));
  for (const { visible, identity, appearances, ranges, firstFrame, lastFrame, thumbnail } of faces) {
    expect({ visible, identity, appearances, ranges }).toMatchObject({
      visible: false,
      identity: null,
      appearances: 1,
      ranges: [[expect.any(Number), expect.any(Number)]],
    });
    expect(firstFrame).toBeLessThan(10);
    expect(lastFrame).toBeGreaterThan(50);
    const jpeg = Buffer.from(thumbnail.replace('data:image/jpeg;base64,', ''), 'base64');
    expect((await sharp(jpeg).metadata()).format).toBe('jpeg');
  }

  expect((await rig.call('PATCH', `/v1/videos/${id}/faces/2`, { visible: true })).body).toEqual({
    face: 2,
    visible: true,
  });
  expect((await rig.faces(id)).filter(({ visible }) => visible).map(({ face }) => face)).toEqual([2]);
  const begun = await rig.call('POST', `/v1/videos/${id}/render`, { policy: { style: 'solid' } });
  expect(begun).toMatchObject({ status: 202, body: { id, state: 'rendering', job: expect.any(String) } });
  await rig.reaches(id, 'done');

  const output = join(folder, 'out.mp4');
  writeFileSync(output, await rig.download(id));
  const report = JSON.parse((await rig.download(id, 'report')).toString());
  expect(report.policy).toMatchObject({ mode: 'all', style: 'solid' });
  const kept = shownPerson(report, clip.truth);
  const figures = await measureLeaks({ source: clip.path, output, truth: clip.truth, keep: [kept] });
  expect(figures.keptVisible).toBeGreaterThan(MIN_KEPT_VISIBLE);
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  expect((await readPictures(output)).length).toBe(60);
});

test('what is rendered can be saved under its name, and played as HLS by anybody with the signed address', async () => {
  const saved = await rig.fetched(`/v1/videos/${id}/download`);
  expect(saved.headers.get('content-disposition')).toContain('in-blurred.mp4');
  const { headers } = await rig.call('GET', `/v1/videos/${id}/hls`);
  const address = new URL(headers.get('location')!, rig.url).href;
  const playlist = await fetch(address);
  expect(playlist.headers.get('content-type')).toBe('application/vnd.apple.mpegurl');
  const path = join(folder, 'played.mp4');
  const names = [...(await playlist.text()).matchAll(/http:\S+?(?="|\s)/g)].map(([url]) => url);
  expect(new Set(names).size).toBe(1);
  const segments = await fetch(names[0]!, { headers: { range: 'bytes=0-99' } });
  expect(segments.status).toBe(206);
  writeFileSync(path, Buffer.from(await (await fetch(names[0]!)).arrayBuffer()));
  expect((await readMedia(path)).kinds).toEqual(['video', 'audio']);
  expect((await readPictures(path)).length).toBe(60);
  expect((await fetch(address.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')))).status).toBe(403);
});

test('rendered again with another choice, it is not analysed again, and the output before is gone', async () => {
  const before = await rig.objects();
  const { analyse, render } = rig.calls;
  await rig.call('PATCH', `/v1/videos/${id}/faces`, { visible: false });
  const shown = await rig.call('PATCH', `/v1/videos/${id}/faces`, { visible: true, faces: [4] });
  expect(shown.body).toEqual({ items: [{ face: 4, visible: true }] });
  await rig.rendered(id);
  expect(rig.calls).toEqual({ analyse, render: render + 1 });
  // Erased once the new one is there.
  const after = await vi.waitFor(async () => {
    const objects = await rig.objects();
    expect(objects.length).toBe(before.length);
    return objects;
  });
  expect(after.filter((key) => key.endsWith('video.mp4'))).not.toEqual(
    before.filter((key) => key.endsWith('video.mp4')),
  );
  const report = JSON.parse((await rig.download(id, 'report')).toString());
  const output = join(folder, 'again.mp4');
  writeFileSync(output, await rig.download(id));
  const keep = [shownPerson(report, clip.truth)];
  const figures = await measureLeaks({ source: clip.path, output, truth: clip.truth, keep });
  expect(figures.keptVisible).toBeGreaterThan(MIN_KEPT_VISIBLE);
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
});

test('the same bytes cost one analysis, and are told', async () => {
  const { analyse } = rig.calls;
  const copy = await rig.analysed(bytes, { filename: 'copy.mov' });
  expect(rig.calls.analyse).toBe(analyse);
  expect(await rig.state(copy)).toMatchObject({ faces: PEOPLE_TOLD, width: 1280, similarTo: [id] });
  const [own, others] = [await rig.faces(copy), await rig.faces(id)];
  expect(own.map(({ thumbnail }) => thumbnail)).toEqual(others.map(({ thumbnail }) => thumbnail));
  expect(own.every(({ visible }) => !visible)).toBe(true);
  // It has an analysis of its own: what the other one was made of may be erased.
  await rig.rendered(copy, { style: 'solid' });
  expect((await rig.call('DELETE', `/v1/videos/${copy}`)).status).toBe(204);
  expect((await rig.state(id)).similarTo).toEqual([]);
});

test.skipIf(!hasFfmpeg)('a copy in another size and quality is told as similar, and analysed for itself', async () => {
  const path = join(folder, 'smaller.mp4');
  await ffmpeg('-i', clip.path, '-vf', 'scale=640:360', '-crf', '30', path);
  const { analyse } = rig.calls;
  const smaller = await rig.analysed(readFileSync(path));
  expect(rig.calls.analyse).toBe(analyse + 1);
  expect((await rig.state(smaller)).similarTo).toEqual([id]);
  await rig.call('DELETE', `/v1/videos/${smaller}`);
});

test('pictures and embeddings of faces lie sealed, and are told to scope operate alone', async () => {
  const faces = await rig.faces(id);
  const pictures = faces.map(({ thumbnail }) => Buffer.from(thumbnail.split(',')[1], 'base64'));
  for (const { path, bytes: content } of await rig.files()) {
    for (const picture of pictures) expect(content.includes(picture.subarray(picture.length >> 1)), path).toBe(false);
  }
  const sealed = (await rig.objects()).filter((key) => /\/(looks|people)$/.test(key));
  expect(sealed).toHaveLength(2);
  for (const path of ['/faces', '', '/download', '/hls']) {
    const refused = await rig.call('GET', `/v1/videos/${id}${path}`, undefined, { authorization: 'Bearer play' });
    expect(refused).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
  }
});

test('lists in the order in which they were made, page by page', async () => {
  const other = await rig.upload(bytes);
  const first = await rig.call('GET', '/v1/videos?limit=1');
  expect(first.body.items.map((video: { id: string }) => video.id)).toEqual([id]);
  const second = await rig.call('GET', `/v1/videos?limit=1&cursor=${first.body.next}`);
  expect(second.body).toMatchObject({ items: [{ id: other, state: 'created' }], next: null });
  await rig.call('DELETE', `/v1/videos/${other}`);
});

test('deleting leaves nothing of it anywhere in the data folder', async () => {
  const { title } = await rig.state(id);
  const deleted = await rig.call('DELETE', `/v1/videos/${id}`);
  expect(deleted.status).toBe(204);
  expect(await rig.objects()).toEqual([]);
  expect((await rig.call('GET', `/v1/videos/${id}`)).body.error.code).toBe('video-not-found');
  expect((await rig.call('DELETE', `/v1/videos/${id}`)).status).toBe(404);
  for (const { path, bytes: content } of await rig.files()) {
    expect(path).not.toContain(id);
    for (const trace of [id, title]) expect(content.includes(trace), `${trace} in ${path}`).toBe(false);
  }
});

test('nothing of faces or bytes is logged', () => {
  const text = JSON.stringify(rig.logged);
  expect(text).not.toMatch(/base64|embedding|signature=|token=/);
  expect(rig.logged.filter(({ level }) => level >= 50)).toEqual([]);
});
