import { WhepViewer } from '../../test/live/whep-viewer.ts';
import { chooseClips, prepareClip } from '../clips.ts';
import { framesOf, type LiveLeakFigures, measureLiveLeaks } from '../received-video.ts';
import { percentile, rounded } from '../statistics.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { cpuBetween, type ProcessUsage, serverProcesses, usageOf } from './process-usage.ts';
import { loopedClip, RTMP_CLIP_NOTE, type RtmpClip } from './rtmp-clip.ts';
import { RtmpPublisher } from './rtmp-publisher.ts';
import { forMs, type StreamView } from './stream-api.ts';

const DEFAULT_SECONDS = 60;
const LOOKAHEAD_FRAMES = 3;
const ASKED_STREAMS = 4;
/** A machine that carries so many is not the one that the figures are for; the curve ends here. */
const MAX_STREAMS = 12;
/** Rates and caches settle in this time once every stream is live and watched. */
const WARM_UP_S = 8;
const LIVE_LIMIT_MS = 30_000;
/** Publishers start this far apart, as they would, so that their keyframes don't fall together. */
const STAGGER_MS = 370;
/** What may be missing of the frames that the clock asks for: the edges of the window. */
const MIN_FRAMES_PART = 0.99;
/** Pictures of each stream that are searched for leaks, spread over the whole run. */
const LEAK_FRAMES_PER_STREAM = 600;
/** A different clip for each stream, in turn: each motion, a few large faces and crowds of small ones. */
const CLIPS = ['group-16-pan', 'parade-234-zoom', 'group-9-shake', 'parade-37-cut'];

interface Live {
  readonly stream: StreamView;
  readonly clip: RtmpClip;
  readonly publisher: RtmpPublisher;
  readonly viewer: WhepViewer;
}

interface Run {
  readonly streams: number;
  readonly seconds: number;
  readonly frames: number;
  readonly expected: number;
  readonly dropped: Record<string, number>;
  readonly covered: number;
  readonly detected: number;
  readonly bracketed: number;
  readonly received: number;
  readonly latency: { readonly p50: number; readonly p99: number };
  /** Of one core: 1 is a whole one. */
  readonly cpu: Record<string, number>;
  readonly enginePssMiB: number;
  readonly leaks: Pick<LiveLeakFigures, 'frames' | 'faceFrames' | 'leaked' | 'leakedPer1000'>;
  readonly complaints: readonly string[];
  readonly holds: boolean;
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function growth(
  before: readonly StreamView[],
  after: readonly StreamView[],
  of: (stream: StreamView) => number,
): number {
  return sum(after.map((stream) => of(stream) - of(before.find(({ id }) => id === stream.id)!)));
}

function droppedBetween(before: readonly StreamView[], after: readonly StreamView[]): Record<string, number> {
  const reasons = new Set(after.flatMap(({ stats }) => Object.keys(stats?.frames.dropped ?? {})));
  const counts = [...reasons].map((reason): [string, number] => {
    return [reason, growth(before, after, ({ stats }) => stats?.frames.dropped[reason] ?? 0)];
  });
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

async function runWith(count: number, clips: readonly RtmpClip[], seconds: number, profile: boolean): Promise<Run> {
  await using open = new AsyncDisposableStack();
  const gateway = open.use(await GatewayProcess.start({ profile }));
  const { api } = gateway;
  const lives: Live[] = [];
  for (let i = 0; i < count; i++) {
    const stream = await api.create(`load-${i}`, LOOKAHEAD_FRAMES);
    const clip = clips[i % clips.length]!;
    const publisher = open.use(await RtmpPublisher.start(clip, stream));
    await api.until(stream.id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
    const watch = async (offer: string) => (await api.whep(stream.id, offer)).answer;
    const viewer = await WhepViewer.watch('h264', watch, { isLazy: true });
    open.defer(() => viewer.close());
    lives.push({ stream, clip, publisher, viewer });
    await forMs(STAGGER_MS);
  }
  await forMs(WARM_UP_S * 1000);
  const look = () => ({
    at: performance.now(),
    streams: lives.map(({ stream }) => stream.id),
    server: serverProcesses(gateway.pid),
    senders: sum(lives.map(({ publisher }) => usageOf(publisher.pid)?.cpuSeconds ?? 0)),
    viewers: process.cpuUsage(),
  });
  const before = look();
  const statsBefore = await api.list();
  await forMs(seconds * 1000);
  const statsAfter = await api.list();
  const after = look();
  const elapsed = (after.at - before.at) / 1000;
  const used = process.cpuUsage(before.viewers);
  const server = cpuBetween(before.server as ProcessUsage[], after.server);
  const cpu = {
    gateway: server.gateway / elapsed,
    worker: server['media worker'] / elapsed,
    engines: server.engine / elapsed,
    senders: (after.senders - before.senders) / elapsed,
    viewers: (used.user + used.system) / 1e6 / elapsed,
  };
  const complaints = lives.flatMap(({ publisher, stream }) => {
    const said = publisher.ended ? `${publisher.written} it ended` : publisher.written;
    return said === '' ? [] : [`publisher of ${stream.id}: ${said}`];
  });
  const received = sum(
    lives.map(({ viewer }) => {
      const inTime = viewer.of('video').filter(({ atMs }) => atMs >= before.at && atMs < after.at);
      return new Set(inTime.map(({ rtp }) => rtp.readUInt32BE(4))).size;
    }),
  );
  const dropped = droppedBetween(statsBefore, statsAfter);
  const frames = growth(statsBefore, statsAfter, ({ stats }) => stats?.frames.in ?? 0);
  const expected = Math.round(30 * elapsed * count);
  // Nothing more is to be measured on a busy machine: the search for leaks is not part of the load.
  await open.disposeAsync();
  const leaks = await leaksOf(lives, before.at, after.at);
  return {
    streams: count,
    seconds: elapsed,
    frames,
    expected,
    dropped,
    covered: growth(statsBefore, statsAfter, ({ stats }) => stats?.frames.covered ?? 0),
    detected: growth(statsBefore, statsAfter, ({ stats }) => stats?.frames.detected ?? 0),
    bracketed: growth(statsBefore, statsAfter, ({ stats }) => stats?.frames.bracketed ?? 0),
    received,
    latency: {
      p50: percentile(
        statsAfter.map(({ stats }) => stats?.addedLatencyMs.p50 ?? 0),
        100,
      )!,
      p99: percentile(
        statsAfter.map(({ stats }) => stats?.addedLatencyMs.p99 ?? 0),
        100,
      )!,
    },
    cpu,
    enginePssMiB: Math.max(...after.server.filter(({ role }) => role === 'engine').map(({ pssMiB }) => pssMiB)),
    leaks,
    complaints,
    holds:
      Object.keys(dropped).length === 0 &&
      frames >= MIN_FRAMES_PART * expected &&
      received >= MIN_FRAMES_PART * expected,
  };
}

/** What leaked in the pictures that the viewers got while it was measured. */
async function leaksOf(lives: readonly Live[], fromMs: number, toMs: number): Promise<Run['leaks']> {
  const all: LiveLeakFigures[] = [];
  for (const { viewer, clip } of lives) {
    const frames = framesOf(viewer.of('video'), 'h264');
    const inTime = frames.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    const step = Math.max(1, Math.floor(inTime.length / LEAK_FRAMES_PER_STREAM));
    const searched = new Set(inTime.filter((_, i) => i % step === 0));
    const indexOf = (frame: (typeof frames)[number]) => (searched.has(frame) ? clip.indexOf(frame) : null);
    const { file, truth } = clip.clip;
    all.push(await measureLiveLeaks({ source: file, truth, frames, codec: 'h264', indexOf }));
  }
  const faceFrames = sum(all.map((one) => one.faceFrames));
  const leaked = sum(all.map((one) => one.leaked));
  const leakedPer1000 = (1000 * leaked) / Math.max(1, faceFrames);
  return { frames: sum(all.map((one) => one.frames)), faceFrames, leaked, leakedPer1000 };
}

/** How many streams run at a time without a frame dropped, from 1 up to the number that breaks. */
export async function measureStreams(options: PartOptions): Promise<PartResult> {
  const seconds = options.seconds ?? DEFAULT_SECONDS;
  const counts = options.streams.length > 0 ? options.streams : Array.from({ length: MAX_STREAMS }, (_, i) => i + 1);
  const names = options.clips.length > 0 ? options.clips : CLIPS;
  const recipes = names.flatMap((name) => chooseClips([name]));
  const clips: RtmpClip[] = [];
  // Long enough for the streams that start first.
  const length = seconds + WARM_UP_S + (Math.max(...counts) * (STAGGER_MS + 2000)) / 1000 + 10;
  for (const recipe of recipes) clips.push(await loopedClip(await prepareClip(recipe), length));
  const runs: Run[] = [];
  for (const count of counts) {
    runs.push(await runWith(count, clips, seconds, options.profile));
    const { holds, dropped, received, expected } = runs.at(-1)!;
    console.error(`streams: ${count} ${holds ? 'hold' : 'BREAK'}, ${received}/${expected} ${JSON.stringify(dropped)}`);
    if (!holds && options.streams.length === 0) break;
  }
  return resultOf(runs, seconds);
}

function resultOf(runs: readonly Run[], seconds: number): PartResult {
  const held = runs.filter(({ holds }) => holds);
  const atAsked = runs.find(({ streams }) => streams === ASKED_STREAMS);
  const part = 'streams';
  const figures = [
    {
      part,
      what: `1280x720 30 fps streams at look-ahead ${LOOKAHEAD_FRAMES}, nothing dropped for ${seconds} s`,
      asked: { atLeast: ASKED_STREAMS },
      measured: Math.max(0, ...held.map(({ streams }) => streams)),
      unit: 'streams',
    },
    {
      part,
      what: `leaked face-frames per 1000 with ${ASKED_STREAMS} streams`,
      asked: null,
      measured: atAsked?.leaks.leakedPer1000 ?? null,
      unit: '/1000',
    },
  ];
  const percent = (share: number) => rounded(100 * share, 0);
  const rows = runs.map((run) => ({
    streams: run.streams,
    holds: run.holds ? 'yes' : 'NO',
    dropped:
      Object.entries(run.dropped)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(', ') || '0',
    in: run.frames,
    shown: run.received,
    due: run.expected,
    covered: run.covered,
    'detected %': percent(run.detected / Math.max(1, run.frames)),
    'p50 ms': run.latency.p50,
    'p99 ms': run.latency.p99,
    'leaked/1000': rounded(run.leaks.leakedPer1000, 2),
    'face-frames': run.leaks.faceFrames,
    'gateway %': percent(run.cpu.gateway!),
    'worker %': percent(run.cpu.worker!),
    'engines %': percent(run.cpu.engines!),
    'load %': percent(run.cpu.senders! + run.cpu.viewers!),
    'engine MiB': rounded(run.enginePssMiB, 0),
  }));
  const notes = [
    `streams: ${RTMP_CLIP_NOTE}; one WHEP viewer a stream; latencies of the slowest stream; clips ${CLIPS.join(', ')} in turn`,
    'streams: the load generator shares the cores: FFmpeg without coding sends RTMP, werift receives, and decrypts when the time is over; its part of one core is "load %"',
    ...runs.flatMap(({ streams, complaints }) => complaints.map((said) => `streams (${streams}): ${said}`)),
  ];
  return { figures, tables: [{ title: 'streams at a time', rows }], notes, details: { runs } };
}
