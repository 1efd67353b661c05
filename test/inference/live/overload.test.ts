import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { codeLive } from '../../../bench/live-source.ts';
import type { CodedVideo } from '../../../inference/live/coded-media.ts';
import { DetectionPace } from '../../../inference/live/detection-pace.ts';
import { FrameQueue } from '../../../inference/live/frame-queue.ts';
import type { DropReason } from '../../../inference/live/live-engine.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { EngineRun } from './engine-run.ts';

const frame = (pts: number, isKeyframe = false, bytes = 10): CodedVideo => ({
  data: new Uint8Array(bytes),
  pts,
  isKeyframe,
});

function queue(maxFrames: number, maxBytes = 1e6) {
  const dropped: DropReason[] = [];
  const frames = new FrameQueue({ maxFrames, maxBytes }, (reason) => dropped.push(reason));
  const drain = () => {
    const left: [number, boolean][] = [];
    for (let next = frames.shift(); next; next = frames.shift()) left.push([next.frame.pts, next.afterGap]);
    return left;
  };
  return { frames, dropped, drain };
}

describe('the queue before the decoder', () => {
  test('lets nothing in before the first keyframe', () => {
    const { frames, dropped, drain } = queue(5);
    for (let i = 0; i < 3; i++) frames.push(frame(i, i === 2), 0);
    expect(drain()).toEqual([[2, false]]);
    expect(dropped).toEqual(['waiting-for-keyframe', 'waiting-for-keyframe']);
  });

  test('that overflows drops all it holds, and what comes until the next keyframe', () => {
    const { frames, dropped, drain } = queue(3);
    frames.push(frame(0, true), 0);
    for (let i = 1; i < 6; i++) frames.push(frame(i), 0);
    expect(frames.isWaiting).toBe(true);
    frames.push(frame(6, true), 0);
    frames.push(frame(7), 0);
    expect(drain()).toEqual([
      [6, true],
      [7, false],
    ]);
    expect(dropped).toEqual([
      'queue-full',
      'queue-full',
      'queue-full',
      'queue-full',
      'waiting-for-keyframe',
      'waiting-for-keyframe',
    ]);
  });

  test('that overflows goes on at the latest keyframe it holds', () => {
    const { frames, dropped, drain } = queue(4);
    frames.push(frame(0, true), 0);
    frames.push(frame(1), 0);
    frames.push(frame(2, true), 0);
    frames.push(frame(3), 0);
    frames.push(frame(4), 0);
    expect(drain()).toEqual([
      [2, true],
      [3, false],
      [4, false],
    ]);
    expect(dropped).toEqual(['queue-full', 'queue-full']);
  });

  test('is bounded in bytes, too', () => {
    const { frames, dropped, drain } = queue(100, 100);
    frames.push(frame(0, true, 60), 0);
    frames.push(frame(1, false, 60), 0);
    frames.push(frame(2, true, 200), 0);
    frames.push(frame(3, true, 60), 0);
    expect(drain()).toEqual([[3, true]]);
    expect(dropped).toEqual(['queue-full', 'queue-full', 'queue-full']);
  });

  test('after a loss keeps what came before it', () => {
    const { frames, drain } = queue(10);
    frames.push(frame(0, true), 0);
    frames.push(frame(1), 0);
    frames.loss();
    frames.push(frame(3), 0);
    frames.push(frame(4, true), 0);
    expect(drain()).toEqual([
      [0, false],
      [1, false],
      [4, true],
    ]);
  });
});

describe('the pace of detection', () => {
  const FRAME_MS = 33;
  /** @returns the pace after so many frames of one wait and one time of work */
  const run = (pace: DetectionPace, frames: number, waitMs: number, tookMs: number, from: number) => {
    for (let i = 0; i < frames; i++) pace.note(waitMs, tookMs, from + i * FRAME_MS);
    return from + frames * FRAME_MS;
  };

  test('is every frame without look-ahead, whatever the load', () => {
    const pace = new DetectionPace(0);
    run(pace, 200, 500, 60, 0);
    expect(pace.everyFrames).toBe(1);
  });

  test('begins thin, becomes dense while nothing is late, and thin again under load, as far as look-ahead reaches', () => {
    const pace = new DetectionPace(3);
    expect(pace.everyFrames).toBe(3);
    let now = run(pace, 120, 1, 10, 0);
    expect(pace.everyFrames).toBe(1);
    now = run(pace, 10, 70, 30, now);
    expect(pace.everyFrames).toBe(3);
    run(pace, 200, 70, 30, now);
    expect(pace.everyFrames).toBe(3);
  });

  test('is not made denser by a process that has no time to spare', () => {
    const pace = new DetectionPace(5);
    run(pace, 600, 1, 25, 0);
    expect(pace.everyFrames).toBe(5);
  });

  test('that proved too dense is tried ever more seldom', () => {
    const pace = new DetectionPace(2);
    let now = 0;
    let changes = 0;
    for (let i = 0; i < 3600; i++) {
      const before = pace.everyFrames;
      // Every frame is more than this machine can do.
      pace.note(before === 1 ? 60 : 1, before === 1 ? 30 : 15, now);
      now += FRAME_MS;
      if (pace.everyFrames !== before) changes++;
    }
    // Two minutes; tried anew each second it would be a hundred.
    expect(changes).toBeLessThan(20);
  });

  test('keeps within a look-ahead that shrinks', () => {
    const pace = new DetectionPace(10);
    pace.setLookahead(2);
    expect(pace.everyFrames).toBe(2);
    pace.setLookahead(0);
    expect(pace.everyFrames).toBe(1);
  });
});

describe('an engine that is given more than it can do', () => {
  const folder = temporaryFolder();
  let run: EngineRun | undefined;
  let frames: CodedVideo[];
  const TICKS = 3000;

  beforeAll(async () => {
    const clip = await makeFaceClip(join(folder, 'clip.mp4'), { seconds: 1 });
    frames = await codeLive(clip.path, { codec: 'h264', keyframeEvery: 15 });
  });
  afterEach(async () => {
    await run?.engine.close();
    run = undefined;
  });

  /** Frame after frame of the clip, over and over. */
  const looped = (count: number): CodedVideo[] =>
    Array.from({ length: count }, (_, i) => ({ ...frames[i % frames.length]!, pts: i * TICKS }));

  test('drops and counts it, asks for a keyframe, keeps the order, and works on', async () => {
    run = await EngineRun.start({ policy: { lookaheadFrames: 3 } });
    const flood = looped(1200);
    for (const each of flood) run.push(each);
    await run.until(() => (run!.video.at(-1)?.pts ?? 0) >= 1000 * TICKS, 2000);
    // Sound frames after it, at a pace that it can keep: they come through.
    const after = looped(30).map((each) => ({ ...each, pts: each.pts + flood.length * TICKS }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await run.feed(after);
    const last = after.at(-1)!.pts;
    expect(await run.until(() => run!.video.at(-1)!.pts === last, 4000)).toBe(true);
    const times = run.video.map(({ pts }) => pts);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    expect(run.keyframesNeeded).toBeGreaterThan(0);
    const { frames: counts } = await run.nextStats();
    const dropped = Object.values(counts.dropped).reduce((sum, count) => sum + count, 0);
    expect(counts.dropped['queue-full']).toBeGreaterThan(0);
    expect(counts.in).toBe(flood.length + after.length);
    expect(counts.out + dropped).toBe(counts.in);
  });

  test('a backlog is decoded but not shown, so that the stream goes on without a keyframe', async () => {
    const long = await makeFaceClip(join(folder, 'long.mp4'), { seconds: 6 });
    const group = await codeLive(long.path, { codec: 'vp8' });
    run = await EngineRun.start({ input: 'vp8' });
    // As after an engine died: what came since the last keyframe, at once.
    const backlog = group.slice(0, -10);
    for (const each of backlog) run.push(each);
    const settled = async () => {
      const { frames: counts } = await run!.nextStats();
      return counts.in === counts.out + (counts.dropped['queue-full'] ?? 0) ? counts : null;
    };
    let counts = await settled();
    while (!counts) counts = await settled();
    expect(counts.in).toBe(backlog.length);
    expect(counts.dropped).toEqual({ 'queue-full': expect.any(Number) });
    await run.feed(group.slice(-10));
    await run.received(counts.out + 10);
    expect(run.video.slice(-10).map(({ pts }) => pts)).toEqual(group.slice(-10).map(({ pts }) => pts));
  });
});
