import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AV_LOG_QUIET, Log } from 'node-av';
import type { CodedVideo, VideoCodec } from '../inference/live/coded-media.ts';
import { createLiveEngine } from '../inference/live/create-live-engine.ts';
import type { EngineStats, LiveEngine } from '../inference/live/live-engine.ts';
import { DEFAULT_POLICY } from '../inference/policy.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { chooseClips, OUT_FOLDER, prepareClip, type ReadyClip } from './clips.ts';
import { measureLeaks } from './leak-measure.ts';
import { codeLive, writeCoded } from './live-source.ts';
import { ProcessTreeMemory } from './process-memory.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

const FPS = 30;
const BITRATE_BPS = 2_500_000;
/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10;
/** What a stream does in its first moments says little about it. */
const WARM_UP_FRAMES = 30;
/** Frames on their way at most where leaks are measured, so that none is dropped. */
const AHEAD = 3;
/** No frame for so long means that one was dropped; then the clip is sent again, so many times. */
const STALL_MS = 3000;
const TRIES = 5;
/** The clip of the latency rows: eight faces and an unsteady hand. */
const LATENCY_CLIP = 'group-9-shake';

interface Case {
  readonly input: VideoCodec;
  readonly output: VideoCodec;
  readonly lookaheadFrames: number;
  readonly engines: number;
}

interface Running {
  readonly engine: LiveEngine;
  readonly startMs: number;
  readonly sentAtMs: Map<number, number>;
  readonly latencies: number[];
  readonly video: CodedVideo[];
  stats: EngineStats | null;
}

async function start({ input, output, lookaheadFrames }: Omit<Case, 'engines'>): Promise<Running> {
  const sentAtMs = new Map<number, number>();
  const latencies: number[] = [];
  const video: CodedVideo[] = [];
  const started = performance.now();
  const running: { stats: EngineStats | null } = { stats: null };
  const engine = await createLiveEngine(
    {
      input,
      output,
      policy: { ...DEFAULT_POLICY, lookaheadFrames },
      bitrateBps: BITRATE_BPS,
      keyframeIntervalMs: null,
      audio: null,
      models: defaultModelLocations({}),
    },
    {
      onVideo: (frame) => {
        latencies.push(performance.now() - sentAtMs.get(frame.pts)!);
        video.push(frame);
      },
      onAudio: () => undefined,
      onKeyframeNeeded: () => undefined,
      onStats: (stats) => {
        running.stats = stats;
      },
      onFaces: () => undefined,
      onClosed: (reason) => {
        if (reason) throw reason;
      },
    },
  );
  return Object.assign(running, { engine, startMs: performance.now() - started, sentAtMs, latencies, video });
}

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends the clip over and over in real time through so many engines at once. */
async function measureLatency(one: Case, frames: readonly CodedVideo[], seconds: number): Promise<Row> {
  const all = await Promise.all(Array.from({ length: one.engines }, () => start(one)));
  const memory = all.map(({ engine }) => new ProcessTreeMemory(engine.pid));
  const cpuBefore = all.map(({ engine }) => cpuMs(engine.pid));
  const began = performance.now();
  const total = Math.round(seconds * FPS);
  const sends = all.map(async (running, i) => {
    // Publishers are not in step.
    const offset = (i * 1000) / FPS / one.engines;
    for (let n = 0; n < total; n++) {
      const wait = began + offset + (n * 1000) / FPS - performance.now();
      if (wait > 0) await sleep(wait);
      const { data, isKeyframe } = frames[n % frames.length]!;
      const pts = n * 3000;
      running.sentAtMs.set(pts, performance.now());
      running.engine.pushVideo({ data: new Uint8Array(data), pts, isKeyframe });
    }
  });
  await Promise.all(sends);
  // The last statistics, and the last frames.
  await sleep(1200);
  const cpu = all.reduce((sum, { engine }, i) => sum + cpuMs(engine.pid) - cpuBefore[i]!, 0);
  const peaks = memory.map((each) => each.stop() ?? 0);
  const latencies = all.flatMap((running) => running.latencies.slice(WARM_UP_FRAMES));
  const dropped = all.reduce((sum, { stats }) => {
    const counts = Object.values(stats?.frames.dropped ?? {});
    return sum + counts.reduce((some, count) => some + count, 0);
  }, 0);
  const stages = all[0]!.stats?.stageMs;
  await Promise.all(all.map(({ engine }) => engine.close()));
  return {
    codec: `${one.input}→${one.output}`,
    'look-ahead': one.lookaheadFrames,
    engines: one.engines,
    'start ms': rounded(Math.max(...all.map(({ startMs }) => startMs)), 0),
    'p50 ms': rounded(percentile(latencies, 50), 1),
    'p99 ms': rounded(percentile(latencies, 99), 1),
    'CPU ms/frame': rounded(cpu / (total * one.engines), 1),
    'PSS MiB': rounded(Math.max(...peaks), 0),
    dropped,
    'detect every': all[0]!.stats?.detectEveryFrames ?? null,
    'wait/decode/detect/blur/encode ms': stages
      ? [stages.wait, stages.decode, stages.detect, stages.blur, stages.encode].join(' / ')
      : null,
  };
}

/** Sends a clip once, as fast as the engine works. @returns null where a frame was dropped, as on a machine that stalls */
async function passThrough(one: Omit<Case, 'engines'>, frames: readonly CodedVideo[]): Promise<CodedVideo[] | null> {
  const running = await start(one);
  const reaches = async (count: number): Promise<boolean> => {
    const deadline = performance.now() + STALL_MS;
    while (running.video.length < count && performance.now() < deadline) await sleep(1);
    return running.video.length >= count;
  };
  try {
    for (const [i, frame] of frames.entries()) {
      if (!(await reaches(i - one.lookaheadFrames - AHEAD))) return null;
      running.sentAtMs.set(frame.pts, performance.now());
      running.engine.pushVideo({ ...frame, data: new Uint8Array(frame.data) });
    }
    return (await reaches(frames.length)) ? running.video : null;
  } finally {
    await running.engine.close();
  }
}

/** Measures what can still be read in what comes out for a clip of which nothing was dropped. */
async function measureClipLeaks(one: Omit<Case, 'engines'>, clip: ReadyClip) {
  const frames = await codeLive(clip.file, { codec: one.input });
  let video: CodedVideo[] | null = null;
  for (let tries = 0; !video && tries < TRIES; tries++) video = await passThrough(one, frames);
  if (!video) throw new Error(`${clip.name}: frames were dropped in each of ${TRIES} tries`);
  const folder = join(OUT_FOLDER, 'live');
  mkdirSync(folder, { recursive: true });
  const output = join(folder, `${clip.name}-${one.lookaheadFrames}.${one.output === 'vp8' ? 'ivf' : 'h264'}`);
  writeCoded(output, one.output, video);
  return measureLeaks({ source: clip.file, output, truth: clip.truth });
}

async function leakRows(lookaheads: readonly number[], names: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const lookaheadFrames of lookaheads) {
    let leaked = 0;
    let faceFrames = 0;
    for (const recipe of chooseClips(names)) {
      const clip = await prepareClip(recipe);
      const figures = await measureClipLeaks({ input: 'h264', output: 'h264', lookaheadFrames }, clip);
      leaked += figures.leaked;
      faceFrames += figures.faceFrames;
      rows.push({
        clip: clip.name,
        'look-ahead': lookaheadFrames,
        'face-frames': figures.faceFrames,
        leaked: figures.leaked,
        'per 1000': figures.leakedPer1000,
        'PSNR outside faces dB': figures.psnrOutsideDb,
        'frames missing': figures.truthFrames - figures.frames,
      });
      console.error(
        `${clip.name} at ${lookaheadFrames}: ${figures.leaked} of ${figures.faceFrames} face-frames leaked`,
      );
    }
    rows.push({
      clip: 'total',
      'look-ahead': lookaheadFrames,
      'face-frames': faceFrames,
      leaked,
      'per 1000': rounded((1000 * leaked) / Math.max(1, faceFrames), 2),
    });
  }
  return rows;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '12' },
      engines: { type: 'string', default: '1,2,4' },
      clips: { type: 'string', default: '' },
      lookaheads: { type: 'string', default: '0,3' },
      'no-leaks': { type: 'boolean', default: false },
      'no-latency': { type: 'boolean', default: false },
    },
  });
  Log.setLevel(AV_LOG_QUIET);
  const latency: Row[] = [];
  if (!values['no-latency']) {
    const clip = await prepareClip(chooseClips([LATENCY_CLIP])[0]!);
    const frames = {
      h264: await codeLive(clip.file, { codec: 'h264' }),
      vp8: await codeLive(clip.file, { codec: 'vp8' }),
    };
    const cases: Case[] = [
      { input: 'h264', output: 'h264', lookaheadFrames: 0, engines: 1 },
      { input: 'vp8', output: 'vp8', lookaheadFrames: 0, engines: 1 },
      { input: 'vp8', output: 'h264', lookaheadFrames: 0, engines: 1 },
      ...values.engines
        .split(',')
        .map(Number)
        .map((engines): Case => ({ input: 'h264', output: 'h264', lookaheadFrames: 3, engines })),
    ];
    for (const one of cases) latency.push(await measureLatency(one, frames[one.input], Number(values.seconds)));
    report('live-engine', latency, { fps: FPS, bitrateBps: BITRATE_BPS, clip: LATENCY_CLIP, rows: latency });
  }
  if (values['no-leaks']) return;
  const leaks = await leakRows(values.lookaheads.split(',').map(Number), values.clips.split(',').filter(Boolean));
  report('live-engine-leaks', leaks, { rows: leaks });
}

await main();
