import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { FfmpegProcess } from './ffmpeg-process.ts';
import { adts, audioSeconds, makeFlvClip, packetsOf, pictureHashes } from './media-clip.ts';
import { RecordingSink } from './recording-sink.ts';
import { KEY, RtmpDoor } from './rtmp-door.ts';
import { until } from './until.ts';

const folder = temporaryFolder();
const clip = join(folder, 'clip.flv');
const SECONDS = 3;

beforeAll(() => makeFlvClip(clip, SECONDS));

/** FLV's own resolution: a time is rounded once on its way. */
const FLV_ROUNDING_S = 0.001;
/** The AAC encoder's priming and last frame, 1024 samples each, of 44.1 kHz. */
const AAC_EDGES_S = 0.1;
/** An onEnd must follow a lost connection within this. */
const END_LIMIT_MS = 1_000;

/** 2²⁴ ms are 16,777 s. */
const BEYOND_24_BITS_S = 17_000;

const publish = (url: string, ...options: string[]): Promise<FfmpegProcess> =>
  FfmpegProcess.start('-re', '-i', clip, '-c', 'copy', ...options, '-f', 'flv', url);

describe('a publish with the right key', () => {
  test('brings the very pictures and sound that were sent, at their times', async () => {
    const door = await RtmpDoor.open();
    const sender = await publish(door.url('cam-1'));
    const { streamId, source } = await door.nextPublish();
    expect(streamId).toBe('cam-1');
    expect(source).toMatchObject({ kind: 'rtmp', video: 'h264', audio: { codec: 'aac' }, canRequestKeyframe: false });
    const sink = RecordingSink.of(source);
    expect(await sender.exited()).toBe(0);
    expect((await sink.end()).end).toBe('publisher-left');
    expect(sink.losses).toBe(0);

    const raw = join(folder, 'received.h264');
    await writeFile(raw, Buffer.concat(sink.video.map(({ data }) => data)));
    const sent = await pictureHashes(clip);
    expect(sent).toHaveLength(SECONDS * 30);
    expect(await pictureHashes(raw)).toEqual(sent);

    const original = await packetsOf(clip, 'v');
    expect(sink.video.map(({ isKeyframe }) => isKeyframe)).toEqual(original.map(({ keyframe }) => keyframe));
    expect(isReordered(sink.video.map(({ pts }) => pts))).toBe(true);
    sink.video.forEach(({ pts }, index) => {
      expect(Number.isSafeInteger(pts)).toBe(true);
      const offset = sink.video[0]!.pts / 90_000 - original[0]!.pts;
      expect(Math.abs(pts / 90_000 - offset - original[index]!.pts)).toBeLessThanOrEqual(FLV_ROUNDING_S);
    });

    const sound = await packetsOf(clip, 'a');
    expect(sink.audio.map(({ data }) => sha256(data))).toEqual(sound.map(({ hash }) => hash));
    const steps = sink.audio.slice(1).map(({ pts }, index) => pts - sink.audio[index]!.pts);
    // 1024 samples of 44.1 kHz are 1114.56 ticks: never the milliseconds' 1104 or 1152.
    expect(new Set(steps)).toEqual(new Set([1114, 1115]));
    expect(source.audio?.codec).toBe('aac');
    const config = source.audio?.codec === 'aac' ? source.audio.config : new Uint8Array();
    const aac = join(folder, 'received.aac');
    await writeFile(
      aac,
      adts(
        config,
        sink.audio.map(({ data }) => data),
      ),
    );
    expect(Math.abs((await audioSeconds(aac)) - SECONDS)).toBeLessThan(AAC_EDGES_S);

    const lipSync = source.timelineMs('video', sink.video[0]!.pts) - source.timelineMs('audio', sink.audio[0]!.pts);
    expect(Math.abs(lipSync - 1000 * (original[0]!.pts - sound[0]!.pts))).toBeLessThanOrEqual(1000 * FLV_ROUNDING_S);
    expect(source.counters().bytes).toBeGreaterThan(sink.video.reduce((sum, { data }) => sum + data.length, 0));
    expect(door.logged.join('')).not.toContain(KEY);
  });

  test('folds the stream name to lower case', async () => {
    const door = await RtmpDoor.open();
    await publish(door.url('CAM-Two'));
    expect((await door.nextPublish()).streamId).toBe('cam-two');
    expect(door.asked).toEqual([{ streamId: 'cam-two', key: KEY }]);
  });

  test.each([
    ['picture only', ['-an'], { video: 'h264', audio: null }],
    ['sound only', ['-vn'], { video: null, audio: { codec: 'aac' } }],
  ] as const)('%s is known as such without waiting', async (_, options, tracks) => {
    const door = await RtmpDoor.open({ probeMs: 60_000 });
    await publish(door.url('cam'), ...options);
    const { source } = await door.nextPublish();
    expect(source).toMatchObject(tracks);
    const sink = RecordingSink.of(source);
    expect((await sink.end()).end).toBe('publisher-left');
    expect(sink.video.length > 0).toBe(tracks.video !== null);
    expect(sink.audio.length > 0).toBe(tracks.audio !== null);
  });

  test('keeps its times beyond the 24 bits that a header holds', async () => {
    const door = await RtmpDoor.open();
    const sender = await publish(door.url('cam'), '-output_ts_offset', String(BEYOND_24_BITS_S));
    const sink = RecordingSink.of((await door.nextPublish()).source);
    expect(await sender.exited()).toBe(0);
    expect(sink.video).toHaveLength(SECONDS * 30);
    expect(Math.min(...sink.video.map(({ pts }) => pts / 90_000))).toBeGreaterThanOrEqual(BEYOND_24_BITS_S);
    expect(sink.video.every(({ pts }) => pts / 90_000 < BEYOND_24_BITS_S + SECONDS + 1)).toBe(true);
  });

  test('leaves sound out that is not AAC', async () => {
    const door = await RtmpDoor.open();
    await FfmpegProcess.start('-re', '-i', clip, '-c:v', 'copy', '-c:a', 'libmp3lame', '-f', 'flv', door.url('cam'));
    const { source } = await door.nextPublish();
    expect(source).toMatchObject({ video: 'h264', audio: null });
    expect(door.logged.join('')).toContain('not AAC');
  });

  test('ends when its video is not H.264', async () => {
    const door = await RtmpDoor.open();
    const sender = await FfmpegProcess.start('-re', '-i', clip, '-an', '-c:v', 'flv1', '-f', 'flv', door.url('cam'));
    expect(await sender.exited()).not.toBe(0);
    expect(door.published).toEqual([]);
    expect(door.logged.join('')).toContain('only H.264');
  });

  test('a publisher that is killed ends its source at once', async () => {
    const door = await RtmpDoor.open();
    const sender = await publish(door.url('cam'));
    const sink = RecordingSink.of((await door.nextPublish()).source);
    await until(() => sink.video.length > 10, 'pictures');
    const killed = performance.now();
    await sender.kill('SIGKILL');
    const { end, at } = await sink.end();
    expect(end).toBe('connection-lost');
    expect(at - killed).toBeLessThan(END_LIMIT_MS);
  });

  test('a publisher that stops sending is ended after the idle timeout', async () => {
    const door = await RtmpDoor.open({ idleTimeoutMs: 500 });
    const sender = await publish(door.url('cam'));
    const sink = RecordingSink.of((await door.nextPublish()).source);
    await until(() => sink.video.length > 10, 'pictures');
    await sender.kill('SIGSTOP');
    expect(await sink.end()).toMatchObject({ end: 'connection-lost' });
  });

  test('closing the source closes the connection, and what is not taken ends', async () => {
    const door = await RtmpDoor.open();
    const first = await publish(door.url('cam'));
    const { source } = await door.nextPublish();
    const sink = RecordingSink.of(source);
    await source.close();
    expect(sink.ended).toMatchObject({ end: 'requested' });
    expect(await first.exited()).not.toBe(0);

    const refusing = await RtmpDoor.open({ onPublish: () => Promise.reject(new Error('no room')) });
    const second = await publish(refusing.url('cam'));
    expect(await second.exited()).not.toBe(0);
    await until(() => refusing.server.connections === 0, 'the connection is gone');
  });
});

function isReordered(times: readonly number[]): boolean {
  return times.some((time, index) => index > 0 && time < times[index - 1]!);
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
