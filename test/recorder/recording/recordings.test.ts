import { readdirSync } from 'node:fs';
import { cp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RecorderError } from '../../../recorder/errors.ts';
import type { ObjectStore } from '../../../recorder/store/object-store.ts';
import { hasFfmpeg } from '../../clips/ffmpeg.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { forMs, until } from '../../live/live-rig.ts';
import { decodeAll } from '../../live/recorded-media.ts';
import { makeRedactedClip, type RedactedClip } from '../../sfu/push/redacted-clip.ts';
import { type MediaSpan, spansOf } from './media-spans.ts';
import { RecordingRig } from './recording-rig.ts';
import { SentStream } from './sent-stream.ts';

const CLIP_MS = 6000;
/** Segments end at keyframes, which the clip has each second; AAC's first frame comes before the first picture. */
const SEGMENT_TOLERANCE_MS = 60;
/** What the eye and ear take for one moment. */
const SYNC_TOLERANCE_MS = 40;
/** Sound that stays away is taken for silence after this time, and a little is left open at the end. */
const MISSING_SOUND_MS = 700;
/** An ffmpeg that died is followed by another after a quarter of a second. */
const RESTART_MS = 400;

let clip: RedactedClip;
let other: RedactedClip;
const folder = temporaryFolder();

beforeAll(async () => {
  if (!hasFfmpeg) return;
  clip = await makeRedactedClip(join(folder, 'clip.mkv'), CLIP_MS / 1000);
  other = await makeRedactedClip(join(folder, 'other.mkv'), 3, '640x360');
});

describe.skipIf(!hasFfmpeg)('recordings (need ffmpeg)', () => {
  let rig: RecordingRig;

  beforeEach(async () => {
    rig = await RecordingRig.create();
  });

  afterEach(() => rig.close());

  async function spans(bytes: Buffer): Promise<MediaSpan> {
    const path = join(rig.folder, 'read.mp4');
    await writeFile(path, bytes);
    return spansOf(path);
  }

  test('a stream leaves segments while it is live, and one MP4, a poster and a timeline at its end', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 100_000, { until: 3000 });
    await until('segments while it is live', () => (rig.rows.stored.get(rig.rows.only.id)?.length ?? 0) >= 1);
    expect(rig.rows.only.state).toBe('recording');
    expect(recordings.windowOf('cam')?.segments.length).toBeGreaterThan(0);
    stream.faces([{ track: 1, visible: false, identity: null }]);
    await stream.send(clip, 100_000, { from: 3000 });
    stream.end();
    await until('it is done', () => rig.rows.only.state === 'done');
    await recordings.settled();

    const { id, durationMs, files } = rig.rows.only;
    expect(files).toEqual({ mp4: true, poster: true, timeline: true });
    expect(Math.abs(durationMs - CLIP_MS)).toBeLessThan(SEGMENT_TOLERANCE_MS);
    const segments = await rig.rows.segments(id);
    expect(segments.map(({ number, part }) => [number, part])).toEqual([1, 2, 3, 4, 5, 6].map((n) => [n, 1]));
    for (const media of [await rig.part(id, segments), await rig.read(id, 'recording.mp4')]) {
      const { video, audio, pictures, codecs } = await spans(media);
      expect(codecs).toEqual(['h264', 'aac']);
      expect(pictures).toBe(clip.video.length);
      expect(Math.abs(video.endMs - audio.endMs)).toBeLessThan(SYNC_TOLERANCE_MS + SEGMENT_TOLERANCE_MS);
    }
    const mp4 = await rig.read(id, 'recording.mp4');
    // Faststart: players need no more than the beginning to know it.
    expect(mp4.indexOf('moov')).toBeLessThan(mp4.indexOf('mdat'));
    expect((await rig.read(id, 'poster.jpg')).subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
    const timeline = JSON.parse((await rig.read(id, 'timeline.json')).toString());
    expect(timeline.tracks).toEqual([
      { track: 1, identity: null, visible: false, ranges: [[expect.any(Number), expect.any(Number)]] },
    ]);
    const [start, end] = timeline.tracks[0].ranges[0];
    expect(Math.abs(start - 2967)).toBeLessThan(SEGMENT_TOLERANCE_MS);
    expect(Math.abs(end - timeline.durationMs)).toBeLessThan(SEGMENT_TOLERANCE_MS);
    expect(rig.events.map(({ state }) => state)).toEqual(['recording', 'finalising', 'done']);
    expect(await rig.spooled()).toEqual([]);
  });

  /** A stream that is recorded while its clip is sent once. */
  async function sent(stream: SentStream, startMs = 0): Promise<void> {
    stream.begin();
    await stream.send(clip, startMs);
    stream.end();
  }

  test('no sound is silence, so that all recordings have both', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('mute', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { sound: false });
    stream.end();
    await until('it is done', () => rig.rows.only.state === 'done');
    const { video, audio, codecs } = await spans(await rig.read(rig.rows.only.id, 'recording.mp4'));
    expect(codecs).toEqual(['h264', 'aac']);
    expect(video.endMs - audio.endMs).toBeLessThan(MISSING_SOUND_MS);
  });

  test('keyframes are asked for where segments are to end', async () => {
    const recordings = await rig.start({ segmentMs: 500 });
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    await sent(stream);
    // At the start, and in the middle of each second: the clip has one a second by itself.
    expect(stream.keyframeRequests).toBeGreaterThanOrEqual(CLIP_MS / 1000);
  });

  test('pictures of another size go on in another part, and the MP4 holds both', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('cam', { record: true, hls: true });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { until: 3000 });
    await stream.send(other, 3000);
    await until(
      'both are stored',
      () => new Set(rig.rows.stored.get(rig.rows.only.id)?.map(({ part }) => part)).size === 2,
    );
    stream.end();
    await until('it is done', () => rig.rows.only.state === 'done');
    const { id, reason } = rig.rows.only;
    expect(reason).toBeNull();
    const segments = await rig.rows.segments(id);
    expect(segments.map(({ part }) => part)).toEqual([1, 1, 1, 2, 2, 2]);
    const path = join(rig.folder, 'both.mp4');
    await writeFile(path, await rig.read(id, 'recording.mp4'));
    const { pictures, complaints } = await decodeAll(path);
    expect(complaints).toBe('');
    expect(pictures).toBe(90 + other.video.length);
    const { video, audio } = await spansOf(path);
    expect(Math.abs(video.endMs - audio.endMs)).toBeLessThan(2 * SEGMENT_TOLERANCE_MS);
  });

  test('an ffmpeg that is killed costs one segment at most, and the recording says so', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { until: 3500 });
    await until('two segments', () => (rig.rows.stored.get(rig.rows.only.id)?.length ?? 0) >= 2);
    process.kill(recordings.pidOf('cam')!, 'SIGKILL');
    await until('it is gone', () => recordings.pidOf('cam') === undefined);
    await forMs(RESTART_MS);
    const asked = stream.keyframeRequests;
    expect(asked).toBeGreaterThan(1);
    await stream.send(clip, 4000);
    stream.end();
    await until('it is over', () => rig.rows.only.state === 'partial');
    const { id, reason, durationMs, files } = rig.rows.only;
    expect(reason).toBe('ffmpeg failed meanwhile');
    expect(files.mp4).toBe(true);
    expect(durationMs).toBeGreaterThan(3500 + CLIP_MS - 2000);
    expect(new Set((await rig.rows.segments(id)).map(({ part }) => part))).toEqual(new Set([1, 2]));
  });

  test('an ffmpeg that never works ends the recording, and not the stream', async () => {
    const recordings = await rig.start({ ffmpegPath: '/bin/false' });
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    for (let round = 0; round < 8; round++) {
      await stream.send(clip, round * CLIP_MS, { until: 1000 });
      await forMs(RESTART_MS);
    }
    await until('it has failed', () => rig.rows.only.state === 'failed');
    expect(rig.rows.only.reason).toBe('ffmpeg failed meanwhile');
    expect(stream.state).toBe('live');
    expect(rig.events.map(({ state }) => state)).toContain('failed');
    await recordings.settled();
    expect(await rig.spooled()).toEqual([]);
  });

  test('a store and a database that are away for a while cost nothing', async () => {
    const store = awayable(rig.store);
    const recordings = await rig.start({ store });
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { until: 2500 });
    await until('a segment', () => (rig.rows.stored.get(rig.rows.only.id)?.length ?? 0) >= 1);
    store.isAway = true;
    rig.rows.isAway = true;
    await stream.send(clip, 0, { from: 2500 });
    stream.end();
    await forMs(1500);
    expect(rig.rows.only.state).toBe('recording');
    expect(await rig.spooled()).toHaveLength(1);
    store.isAway = false;
    rig.rows.isAway = false;
    await until('it is done', () => rig.rows.only.state === 'done');
    expect(rig.rows.stored.get(rig.rows.only.id)).toHaveLength(CLIP_MS / 1000);
    await recordings.settled();
    expect(await rig.spooled()).toEqual([]);
  });

  test('a store that stays away ends the recording when the spool is full, with what fitted in it', async () => {
    const store = awayable(rig.store);
    const recordings = await rig.start({ store, maxSpoolBytes: 400_000 });
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    store.isAway = true;
    stream.begin();
    for (let round = 0; round < 5; round++) await stream.send(clip, round * CLIP_MS);
    await until('it stops', () => rig.events.some(({ reason }) => reason === 'the store does not keep up'));
    expect(stream.state).toBe('live');
    expect(recordings.pidOf('cam')).toBeUndefined();
    store.isAway = false;
    await until('it is over', () => rig.rows.only.state === 'partial');
    const { id, reason } = rig.rows.only;
    expect(reason).toBe('the store does not keep up');
    const stored = await rig.rows.segments(id);
    expect(stored.length).toBeGreaterThan(0);
    expect(stored.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(400_000);
  });

  test('what a gateway that died was recording is finished by the next from what is there', async () => {
    const store = awayable(rig.store);
    const first = await rig.start({ store });
    const stream = new SentStream('cam', { record: true, hls: false });
    first.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { until: 2500 });
    await until('a segment', () => (rig.rows.stored.get(rig.rows.only.id)?.length ?? 0) >= 1);
    store.isAway = true;
    await stream.send(clip, 0, { from: 2500 });
    const { id } = rig.rows.only;
    await until('all are on the disk', () => numbersIn(join(rig.spools, id)).includes(5));
    // Dead as far as anybody can see: its store never answers again, and the folder is another one's.
    await cp(rig.spools, join(rig.folder, 'left'), { recursive: true });
    await first.erase(id).catch(() => undefined);
    await rm(rig.spools, { recursive: true, force: true });
    await rename(join(rig.folder, 'left'), rig.spools);

    await rig.start();
    await until('it is finished', () => rig.rows.recordings.get(id)?.state === 'partial');
    expect(rig.rows.only.reason).toBe('the gateway died meanwhile');
    expect((await rig.rows.segments(id)).length).toBeGreaterThanOrEqual(4);
    expect(rig.rows.only.files.mp4).toBe(true);
  });

  test('record can be switched in mid-stream, and what is only watched live leaves nothing', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('cam', { record: false, hls: true });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0);
    await until('live HLS', () => (recordings.windowOf('cam')?.segments.length ?? 0) >= 4);
    expect(rig.rows.recordings.size).toBe(0);
    expect((await rig.objects()).filter((name) => name.startsWith('temp/hls/')).length).toBeGreaterThan(4);
    stream.settings = { ...stream.settings, record: true };
    recordings.changed(stream.live);
    await stream.send(clip, CLIP_MS);
    await until('a recording', () => rig.rows.recordings.size === 1);
    stream.settings = { ...stream.settings, record: false };
    recordings.changed(stream.live);
    await stream.send(clip, 2 * CLIP_MS);
    await until('it is done', () => rig.rows.only.state === 'done');
    expect(stream.state).toBe('live');
    stream.end();
    await until('all is settled', () => recordings.windowOf('cam') === null);
    await recordings.settled();
    expect((await rig.objects()).filter((name) => !name.startsWith('recordings/'))).toEqual([]);
    expect(rig.rows.only.durationMs).toBeGreaterThan(CLIP_MS - 2000);
  });

  test('a recording that is erased leaves nothing, also while it is under way', async () => {
    const recordings = await rig.start();
    const stream = new SentStream('cam', { record: true, hls: false });
    recordings.added(stream.live);
    stream.begin();
    await stream.send(clip, 0, { until: 3500 });
    await until('a segment', () => (rig.rows.stored.get(rig.rows.only.id)?.length ?? 0) >= 1);
    await recordings.erase(rig.rows.only.id);
    expect(rig.rows.recordings.size).toBe(0);
    await stream.send(clip, 0, { from: 3500 });
    expect(recordings.windowOf('cam')).toBeNull();
    stream.end();
    await forMs(500);
    await sent(stream, 50_000);
    await until('the next one is done', () => [...rig.rows.recordings.values()].some(({ state }) => state === 'done'));
    await recordings.erase(rig.rows.only.id);
    expect(await rig.objects()).toEqual([]);
    expect(await rig.spooled()).toEqual([]);
    expect(rig.rows.recordings.size).toBe(0);
  });
});

interface AwayableStore extends ObjectStore {
  isAway: boolean;
}

/** A store that does not answer while it is away. */
function awayable(store: ObjectStore): AwayableStore {
  const away = { isAway: false };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'isAway') return away.isAway;
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (away.isAway) return Promise.reject(new RecorderError('store-unreachable', 'the store is away'));
        return value.apply(target, args);
      };
    },
    set(_target, name, value) {
      if (name === 'isAway') away.isAway = value;
      return true;
    },
  }) as AwayableStore;
}

/** Of the segments that wait in a spool. */
function numbersIn(folder: string): number[] {
  return readdirSync(folder).flatMap((name) => (/^\d+\.json$/.test(name) ? [Number.parseInt(name, 10)] : []));
}
