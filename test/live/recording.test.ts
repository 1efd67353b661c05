import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { framesOf, measureLiveLeaks, type ReceivedFrame } from '../../bench/received-video.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { hasLiveDetector, LIVE } from '../clips/live-detector.ts';
import { type CodedClip, codeClip } from './coded-clip.ts';
import { makeFlashAndBeep } from './lip-sync.ts';
import { forMs } from './live-rig.ts';
import { LiveServer, type MadeStream } from './live-server.ts';
import { decodeAll, lipSyncOf, picturesOf } from './recorded-media.ts';
import { WhipPublisher } from './whip-publisher.ts';

const SEGMENT_S = 2;
const PATIENCE_MS = 20_000;
/** A picture at 30 a second, one of the even steps at which flashes are looked for, and AAC's 21 ms. */
const LIP_SYNC_MS = 40;
const TICKS_A_FRAME = 3000;
/** Below the real thing on a machine of two cores that also publishes and decodes. */
const SOURCE_FPS = 20;

interface RecordingView {
  readonly id: string;
  readonly stream: string;
  readonly state: string;
  readonly reason: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly durationMs: number;
  readonly hls: string;
  readonly mp4: string | null;
  readonly poster: string | null;
  readonly timeline: string | null;
}

let server: LiveServer;
let faces: FaceClip;
let clip: CodedClip;
let open: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  server = await LiveServer.start({ HLS_TIME_SECONDS: String(SEGMENT_S) });
  faces = await makeFaceClip(join(server.folder, 'clip.mp4'));
  if (hasFfmpeg) clip = await codeClip(faces.path, server.folder, { codec: 'h264', fps: 30 });
});

afterEach(async () => {
  for (const one of open.reverse()) await one.close();
  open = [];
});

afterAll(() => server?.close());

async function publish({ publish: { whip }, key }: MadeStream, coded = clip): Promise<WhipPublisher> {
  const headers = { 'content-type': 'application/sdp', authorization: `Bearer ${key}` };
  const publisher = await WhipPublisher.publish({ clip: coded }, async (offer) => {
    return (await fetch(whip, { method: 'POST', body: offer, headers })).text();
  });
  open.push(publisher);
  return publisher;
}

async function recordingsOf({ id }: MadeStream): Promise<RecordingView[]> {
  const { body } = await server.call('GET', `/v1/recordings?stream=${id}`);
  return (body as { items: RecordingView[] }).items;
}

async function untilTrue<T>(what: string, ask: () => Promise<T | null | undefined | false>): Promise<T> {
  const start = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() - start > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`);
    await forMs(50);
  }
}

/** The address of live HLS, once there are so many segments. */
async function liveHls(stream: MadeStream, segments = 1): Promise<string> {
  const { body } = await server.call('GET', `/v1/streams/${stream.id}`);
  const { hls } = (body as { play: { hls: string } }).play;
  await untilTrue('live HLS', async () => {
    const response = await fetch(hls);
    return response.ok && (await response.text()).split('#EXTINF').length > segments;
  });
  return hls;
}

async function ended(stream: MadeStream): Promise<RecordingView> {
  return untilTrue('the end of the recording', async () => {
    const [view] = await recordingsOf(stream);
    return view && ['done', 'partial', 'failed'].includes(view.state) && view;
  });
}

async function download(url: string, name: string): Promise<string> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  const path = join(server.folder, name);
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  return path;
}

const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

describe.skipIf(!hasFfmpeg || !hasLiveDetector)(`a stream that is recorded ${LIVE}`, () => {
  test('is watched by HLS while it is live, and leaves an MP4 of what viewers saw, every face covered', async () => {
    const stream = await server.makeStream({ record: true });
    const events = await recordingEvents(stream);
    await publish(stream);
    await server.untilLive(stream.id);
    const viewer = await server.watch(stream, 'h264');
    open.push(viewer);
    const hls = await liveHls(stream, 2);
    const live = await decodeAll(hls, SEGMENT_S);
    expect(live.complaints).toBe('');
    expect(live.pictures).toBeGreaterThan(SEGMENT_S * SOURCE_FPS);
    expect((await recordingsOf(stream))[0]).toMatchObject({ stream: stream.id, state: 'recording', mp4: null });

    await forMs(2000);
    await server.call('PATCH', `/v1/streams/${stream.id}`, { record: false });
    const recording = await ended(stream);
    expect(recording).toMatchObject({ state: 'done', reason: null });
    expect(await server.state(stream.id)).toBe('live');
    expect(events).toEqual(
      ['recording', 'finalising', 'done'].map((state) => {
        return { type: 'stream.recording', stream: stream.id, recording: recording.id, state, reason: null };
      }),
    );
    const whole = await decodeAll(recording.hls);
    expect(whole.complaints).toBe('');
    expect(whole.pictures).toBeGreaterThan((recording.durationMs / 1000) * SOURCE_FPS);

    const mp4 = await download(recording.mp4!, 'recording.mp4');
    const recorded = await picturesOf(mp4);
    expect(recorded.length).toBe(whole.pictures);
    const seen = new Map(framesOf(viewer.of('video'), 'h264').map((frame) => [digest(frame.data), frame]));
    const frames: ReceivedFrame[] = recorded.flatMap(({ data, isKeyframe }) => {
      const same = seen.get(digest(data));
      return same ? [{ ...same, data, isKeyframe }] : [];
    });
    // The viewer came some pictures later, and begins with a keyframe.
    expect(frames.length).toBeGreaterThan(recorded.length / 2);
    const total = faces.truth.frames.length;
    const leaks = await measureLiveLeaks({
      ...{ source: faces.path, truth: faces.truth, frames, codec: 'h264' },
      indexOf: ({ rtpTimestamp }) => Math.round(rtpTimestamp / TICKS_A_FRAME) % total,
    });
    expect(leaks.faceFrames).toBeGreaterThan(100);
    expect(leaks.leaked).toBe(0);

    const poster = await download(recording.poster!, 'poster.jpg');
    expect((await decodePoster(poster)).width).toBe(faces.truth.width);
    const timeline = (await (await fetch(recording.timeline!)).json()) as {
      durationMs: number;
      tracks: { track: number; identity: null; visible: boolean; ranges: [number, number][] }[];
    };
    expect(timeline.tracks.length).toBeGreaterThanOrEqual(4);
    for (const { visible, ranges } of timeline.tracks) {
      expect(visible).toBe(false);
      for (const [start, end] of ranges) {
        expect(start).toBeLessThan(end);
        expect(end).toBeLessThanOrEqual(timeline.durationMs + 1);
      }
    }
  });

  test('is recorded from the middle on as H.264, though VP8 is published', async () => {
    const coded = await codeClip(faces.path, server.folder, { codec: 'vp8' });
    const stream = await server.makeStream();
    await publish(stream, coded);
    await server.untilLive(stream.id);
    const { body } = await server.call('PATCH', `/v1/streams/${stream.id}`, { record: true });
    expect((body as MadeStream & { play: { hls: string } }).play.hls).toMatch(/\/hls\/.+\/index\.m3u8$/);
    const hls = await liveHls(stream, 2);
    expect((await decodeAll(hls, SEGMENT_S)).complaints).toBe('');
    expect((await server.call('DELETE', `/v1/streams/${stream.id}`)).status).toBe(204);
    const recording = await ended(stream);
    expect(recording).toMatchObject({ state: 'done', reason: null });
    expect((await decodeAll(recording.hls)).complaints).toBe('');
    expect((await fetch(hls)).status).toBe(404);
  });

  test('has each sound with its picture', async () => {
    // Long enough not to be sent over and over: packets of sound do not add up to its length.
    const file = join(server.folder, 'flashes.mkv');
    await ffmpeg('-stream_loop', '9', '-i', await makeFlashAndBeep(server.folder), '-c', 'copy', file);
    const coded = await codeClip(file, server.folder, { codec: 'h264' });
    const stream = await server.makeStream({ record: true });
    const publisher = await publish(stream, coded);
    await liveHls(stream, 5);
    await publisher.close();
    const recording = await ended(stream);
    const offsets = await lipSyncOf(await download(recording.mp4!, 'flash-and-beep.mp4'));
    expect(offsets.length).toBeGreaterThan(4);
    for (const offset of offsets) expect(Math.abs(offset)).toBeLessThan(LIP_SYNC_MS);
  });
});

/** What a socket is told of recordings from now on. */
async function recordingEvents({ id }: MadeStream): Promise<unknown[]> {
  const socket = new WebSocket(`${server.server.url.replace('http', 'ws')}/ws`);
  open.push({ close: async () => socket.close() });
  const events: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error('no socket'));
    socket.onopen = () => socket.send(JSON.stringify({ id: 1, type: 'subscribe', topic: `stream:${id}` }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as { id?: number; type: string };
      if (message.id === 1) resolve();
      else if (message.type === 'stream.recording') events.push(message);
    };
  });
  return events;
}

async function decodePoster(path: string): Promise<{ width: number; height: number }> {
  const { default: sharp } = await import('sharp');
  const { width, height } = await sharp(path).metadata();
  return { width, height };
}
