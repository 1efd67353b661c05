import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findFfmpeg } from '../../bench/ffmpeg-executable.ts';
import { readLuma } from '../../bench/luma-reader.ts';
import {
  decodeLuma,
  framesOf,
  type LiveLeakFigures,
  measureLiveLeaks,
  type ReceivedFrame,
} from '../../bench/received-video.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { hasLiveDetector, LIVE } from '../clips/live-detector.ts';
import { lipSyncMs, makeFlashAndBeep } from './lip-sync.ts';
import { forMs, until } from './live-rig.ts';
import { LiveServer, type MadeStream } from './live-server.ts';
import type { WhepViewer } from './whep-viewer.ts';

/** Likewise as for WHIP; the picture went through one more encoder on its way here. */
const MIN_PSNR_OUTSIDE_DB = 24;
const MAX_LIP_SYNC_MS = 40;
const WHIP_MUXER = join(import.meta.dirname, 'whip-muxer.ts');

let server: LiveServer;
let clip: FaceClip;
let flashAndBeep: string;
let publishers: ChildProcess[] = [];

beforeAll(async () => {
  server = await LiveServer.start();
  clip = await makeFaceClip(join(server.folder, 'clip.mp4'));
  flashAndBeep = await makeFlashAndBeep(server.folder);
});

afterEach(async () => {
  for (const publisher of publishers) await end(publisher);
  publishers = [];
});

afterAll(() => server?.close());

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** OBS and ffmpeg: H.264 with B-frames and AAC by RTMP. */
async function byRtmp(file: string, { publish, key }: MadeStream): Promise<ChildProcess> {
  const { path } = await findFfmpeg();
  const codecs = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-g', '30', '-b:v', '3M', '-c:a', 'aac'];
  const input = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', file];
  const child = spawn(path, [...input, ...codecs, '-f', 'flv', `${publish.rtmp}?key=${key}`], { stdio: 'ignore' });
  publishers.push(child);
  return child;
}

/** FFmpeg's own WHIP client, of node-av: H.264 and Opus. */
async function byWhip(file: string, { publish, key }: MadeStream): Promise<ChildProcess> {
  const coded = join(server.folder, `whip-${Date.now()}.mkv`);
  const video = ['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-g', '30', '-b:v', '3M'];
  await ffmpeg('-stream_loop', '8', '-i', file, ...video, '-c:a', 'libopus', '-ac', '2', coded);
  const child = spawn(process.execPath, [WHIP_MUXER, coded, publish.whip, key], { stdio: 'ignore' });
  publishers.push(child);
  return child;
}

/** Timestamps are the source's, which begin anywhere: the first picture tells by its content which one it is. */
async function leaks(viewer: WhepViewer): Promise<LiveLeakFigures> {
  const all = framesOf(viewer.of('video'), 'h264');
  const start = all.findLastIndex(({ isKeyframe }, index) => isKeyframe && index <= all.length - 60);
  const frames = all.slice(Math.max(0, start));
  const { path: source, truth } = clip;
  const total = truth.frames.length;
  const first = await nearestPicture(frames);
  const sinceFirst = ({ rtpTimestamp }: ReceivedFrame) =>
    Math.round(((rtpTimestamp - frames[0]!.rtpTimestamp) | 0) / 3000);
  const indexOf = (frame: ReceivedFrame) => (first + sinceFirst(frame)) % total;
  return measureLiveLeaks({ source, truth, frames, codec: 'h264', indexOf });
}

/** Which picture of the clip the first of these shows. */
async function nearestPicture(frames: readonly ReceivedFrame[]): Promise<number> {
  const { width, height } = clip.truth;
  let shown: Uint8Array | undefined;
  for await (const { luma } of decodeLuma(frames.slice(0, 1), 'h264', clip.truth)) shown = Uint8Array.from(luma);
  let nearest = { index: 0, difference: Number.POSITIVE_INFINITY };
  let index = 0;
  for await (const luma of readLuma(clip.path, width, height)) {
    let difference = 0;
    for (let i = 0; i < luma.length; i += 7) difference += Math.abs(luma[i]! - shown![i]!);
    if (difference < nearest.difference) nearest = { index, difference };
    index++;
  }
  return nearest.index;
}

describe.skipIf(!hasFfmpeg).each([
  ['ffmpeg by RTMP, with B-frames and AAC', byRtmp],
  ['FFmpeg’s WHIP muxer', byWhip],
])('%s', (_name, publish) => {
  test('every face is covered, the rest is as it was, and sound is there', async () => {
    const stream = await server.makeStream();
    await publish(clip.path, stream);
    await server.untilLive(stream.id);
    const viewer = await server.watch(stream, 'h264');
    try {
      await until('four seconds of pictures', () => framesOf(viewer.of('video'), 'h264').length > 110, 30_000);
      const figures = await leaks(viewer);
      expect(figures.faceFrames).toBeGreaterThan(90);
      expect(figures.leaked).toBe(0);
      expect(figures.psnrOutsideDb).toBeGreaterThan(MIN_PSNR_OUTSIDE_DB);
      expect(viewer.of('audio').length).toBeGreaterThan(100);
    } finally {
      await viewer.close();
    }
  });

  test.skipIf(!hasLiveDetector)(`what is seen and what is heard stay together ${LIVE}`, async () => {
    const stream = await server.makeStream();
    await publish(flashAndBeep, stream);
    await server.untilLive(stream.id);
    const viewer = await server.watch(stream, 'h264');
    try {
      await until('reports', () => new Set(viewer.reports.map(({ kind }) => kind)).size === 2, 20_000);
      await forMs(5000);
      const errors = await lipSyncMs(viewer);
      expect(errors.length).toBeGreaterThanOrEqual(3);
      for (const error of errors) expect(Math.abs(error)).toBeLessThan(MAX_LIP_SYNC_MS);
    } finally {
      await viewer.close();
    }
  });
});

describe.skipIf(!hasFfmpeg)('publishing', () => {
  test('the wrong key opens nothing, by RTMP or by WHIP', async () => {
    const stream = await server.makeStream();
    const wrong = { ...stream, key: `${stream.key.slice(0, -1)}${stream.key.endsWith('A') ? 'B' : 'A'}` };
    const child = await byRtmp(clip.path, wrong);
    await once(child, 'exit');
    const headers = { 'content-type': 'application/sdp', authorization: `Bearer ${wrong.key}` };
    const response = await fetch(stream.publish.whip, { method: 'POST', body: 'v=0\r\n', headers });
    expect(response.status).toBe(401);
    expect(await server.state(stream.id)).toBe('idle');
  });

  test('a second publisher with the key takes over within two seconds, and viewers stay', async () => {
    const stream = await server.makeStream();
    const first = await byRtmp(clip.path, stream);
    await server.untilLive(stream.id);
    const viewer = await server.watch(stream, 'h264');
    try {
      await until('a picture', () => framesOf(viewer.of('video'), 'h264').length > 0);
      await byRtmp(clip.path, stream);
      // ffmpeg itself needs a moment to connect and to send its first pictures.
      await until('the first publisher to be ended', () => first.exitCode !== null, 8000);
      const ended = viewer.of('video').length;
      expect(await until('pictures of the second', () => viewer.of('video').length > ended + 5)).toBeLessThan(2000);
      expect(await server.state(stream.id)).toBe('live');
    } finally {
      await viewer.close();
    }
  });

  test('nobody plays what is published by RTMP, with or without its key', async () => {
    const stream = await server.makeStream();
    await byRtmp(clip.path, stream);
    await server.untilLive(stream.id);
    for (const query of ['', `?key=${stream.key}`]) {
      const target = join(server.folder, 'played.mkv');
      const played = ffmpeg('-rw_timeout', '3000000', '-i', `${stream.publish.rtmp}${query}`, '-t', '1', target);
      await expect(played).rejects.toThrow();
    }
    expect(await server.state(stream.id)).toBe('live');
  });

  test('a stream that is published by RTMP survives its engine', async () => {
    const stream = await server.makeStream();
    await byRtmp(clip.path, stream);
    await server.untilLive(stream.id);
    const viewer = await server.watch(stream, 'h264');
    try {
      await until('pictures', () => framesOf(viewer.of('video'), 'h264').length > 20);
      process.kill(await enginePid(), 'SIGKILL');
      await forMs(30);
      const before = viewer.of('video').length;
      expect(await until('pictures again', () => viewer.of('video').length > before)).toBeLessThan(2000);
      await forMs(2000);
      const figures = await leaks(viewer);
      expect(figures.faceFrames).toBeGreaterThan(30);
      expect(figures.leaked).toBe(0);
    } finally {
      await viewer.close();
    }
  });
});

/** The busiest of this process's engines: the one that serves, not the one that waits. */
async function enginePid(): Promise<number> {
  const { stdout } = spawn('ps', ['-o', 'pid=,time=,args=', '--ppid', String(process.pid), '--sort=-time']);
  let text = '';
  for await (const chunk of stdout) text += chunk;
  const line = text.split('\n').find((one) => one.includes('live-engine-process'));
  if (!line) throw new Error('no engine runs');
  return Number.parseInt(line, 10);
}
