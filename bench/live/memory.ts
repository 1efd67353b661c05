import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CodedClip, codeClip } from '../../test/live/coded-clip.ts';
import { WhepViewer } from '../../test/live/whep-viewer.ts';
import { WhipPublisher } from '../../test/live/whip-publisher.ts';
import { chooseClips, prepareClip } from '../clips.ts';
import { median, rounded } from '../statistics.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { serverProcesses } from './process-usage.ts';
import { loopedClip, RTMP_CLIP_NOTE, type RtmpClip } from './rtmp-clip.ts';
import { RtmpPublisher } from './rtmp-publisher.ts';
import { forMs, type SdpAnswer, type StreamView } from './stream-api.ts';

const DEFAULT_SECONDS = 60;
const DEFAULT_CYCLES = 200;
/** Before these, code is compiled and pools are filled for the first time. */
const WARM_UP_CYCLES = 20;
const CYCLES_BETWEEN_LOOKS = 10;
const LOOKAHEADS = [3, 15];
const ASKED = { pssMiB: 200, growthPercent: 5 };
const CLIP = 'group-16-pan';
const LIVE_LIMIT_MS = 30_000;
/** Streams stay in the grace for their publishers for 5 s. */
const IDLE_LIMIT_MS = 20_000;
const SAMPLE_MS = 500;
/** Used in turn: one is idle again before its turn comes. */
const STREAMS = 8;
/** Looks at each end of the run that are averaged: collections come when they come. */
const LOOKS_AVERAGED = 5;

/** The highest that one stream's process holds. */
async function streamPeak(
  clip: RtmpClip,
  lookahead: number,
  seconds: number,
  profile: boolean,
): Promise<number | null> {
  await using gateway = await GatewayProcess.start({ profile });
  const stream = await gateway.api.create('memory', lookahead);
  await using publisher = await RtmpPublisher.start(clip, stream);
  await gateway.api.until(stream.id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
  const viewer = await WhepViewer.watch('h264', async (offer) => (await gateway.api.whep(stream.id, offer)).answer);
  let peak = 0;
  try {
    for (const end = performance.now() + seconds * 1000; performance.now() < end; await forMs(SAMPLE_MS)) {
      // A spare that waits for the next stream is smaller than the one that works.
      for (const { role, pssMiB } of serverProcesses(gateway.pid)) if (role === 'engine') peak = Math.max(peak, pssMiB);
    }
  } finally {
    await viewer.close();
  }
  if (publisher.ended) throw new Error(`the publisher ended: ${publisher.written}`);
  return peak || null;
}

/** Publishes until the stream is live, has a viewer see a little of it, and hangs up. */
async function cycle(
  gateway: GatewayProcess,
  stream: StreamView,
  clips: { rtmp: RtmpClip; whip: CodedClip },
  byWhip: boolean,
): Promise<void> {
  const { api } = gateway;
  let session: SdpAnswer | null = null;
  const publisher = byWhip
    ? await WhipPublisher.publish({ clip: clips.whip }, async (offer) => {
        session = await api.whip(stream, offer);
        return session.answer;
      })
    : await RtmpPublisher.start(clips.rtmp, stream);
  try {
    await api.until(stream.id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
    const viewer = await WhepViewer.watch('h264', async (offer) => (await api.whep(stream.id, offer)).answer);
    await forMs(300);
    await viewer.close();
    if (session) await api.hangUp(session, stream);
  } finally {
    if (publisher instanceof WhipPublisher) await publisher.close();
    else await publisher.stop();
  }
}

interface Look {
  readonly cycles: number;
  readonly gatewayMiB: number;
  readonly workerMiB: number;
  readonly wholeMiB: number;
  /** Without what is mapped from files. */
  readonly anonymousMiB: number;
  readonly processes: number;
}

async function lookIdle(gateway: GatewayProcess, cycles: number): Promise<Look> {
  for (const { id } of await gateway.api.list()) {
    await gateway.api.until(id, 'idle', ({ state }) => state === 'idle', IDLE_LIMIT_MS);
  }
  // The spare that stands ready for the next stream has to be whole.
  await forMs(1500);
  const processes = serverProcesses(gateway.pid);
  const of = (role: string) => processes.filter((one) => one.role === role).reduce((all, one) => all + one.pssMiB, 0);
  const wholeMiB = processes.reduce((all, { pssMiB }) => all + pssMiB, 0);
  const anonymousMiB = processes.reduce((all, one) => all + one.anonymousMiB, 0);
  return {
    cycles,
    gatewayMiB: of('gateway'),
    workerMiB: of('media worker'),
    wholeMiB,
    anonymousMiB,
    processes: processes.length,
  };
}

async function looksOverCycles(clips: { rtmp: RtmpClip; whip: CodedClip }, cycles: number): Promise<Look[]> {
  await using gateway = await GatewayProcess.start({ profile: false });
  const streams: StreamView[] = [];
  for (let i = 0; i < STREAMS; i++) streams.push(await gateway.api.create(`cycle-${i}`, 3));
  const looks = [await lookIdle(gateway, 0)];
  for (let done = 1; done <= WARM_UP_CYCLES + cycles; done++) {
    await cycle(gateway, streams[done % STREAMS]!, clips, done % 2 === 0);
    if (done % CYCLES_BETWEEN_LOOKS > 0) continue;
    looks.push(await lookIdle(gateway, done));
    const { wholeMiB, gatewayMiB, workerMiB } = looks.at(-1)!;
    const parts = `gateway ${rounded(gatewayMiB, 1)}, worker ${rounded(workerMiB, 1)}`;
    console.error(`memory: ${done} cycles, whole ${rounded(wholeMiB, 1)} MiB, ${parts}`);
  }
  return looks;
}

/** A stream's process while it runs, and what stays behind of publishes that came and went. */
export async function measureMemory(options: PartOptions): Promise<PartResult> {
  const seconds = options.seconds ?? DEFAULT_SECONDS;
  const cycles = options.rounds ?? DEFAULT_CYCLES;
  const source = await prepareClip(chooseClips(options.clips.length > 0 ? options.clips.slice(0, 1) : [CLIP])[0]!);
  const rtmp = await loopedClip(source, seconds + 30);
  const peaks: { lookahead: number; peakMiB: number | null }[] = [];
  for (const lookahead of LOOKAHEADS) {
    peaks.push({ lookahead, peakMiB: await streamPeak(rtmp, lookahead, seconds, options.profile) });
    console.error(`memory: a stream's process at look-ahead ${lookahead}: ${rounded(peaks.at(-1)!.peakMiB, 1)} MiB`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'faceblur-bench-memory-'));
  let looks: Look[];
  try {
    looks = await looksOverCycles({ rtmp, whip: await codeClip(source.file, folder, { codec: 'h264' }) }, cycles);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return resultOf(peaks, looks, cycles);
}

function resultOf(
  peaks: readonly { lookahead: number; peakMiB: number | null }[],
  looks: readonly Look[],
  cycles: number,
): PartResult {
  const warm = looks.filter((look) => look.cycles >= WARM_UP_CYCLES);
  const average = (some: readonly Look[]) => median(some.map(({ wholeMiB }) => wholeMiB));
  const before = average(warm.slice(0, Math.min(LOOKS_AVERAGED, Math.ceil(warm.length / 2))));
  const after = average(warm.slice(-Math.min(LOOKS_AVERAGED, Math.ceil(warm.length / 2))));
  const first = warm[0]?.wholeMiB ?? null;
  const last = warm.at(-1)?.wholeMiB ?? null;
  const growth = (from: number | null, to: number | null) =>
    from === null || to === null ? null : 100 * (to / from - 1);
  const part = 'memory';
  const figures = [
    ...peaks.map(({ lookahead, peakMiB }) => ({
      part,
      what: `a stream's process, PSS, look-ahead ${lookahead}`,
      asked: { atMost: ASKED.pssMiB },
      measured: peakMiB === null ? null : (peakMiB * 2 ** 20) / 1e6,
      unit: 'MB',
    })),
    {
      part,
      what: `growth of the whole after ${cycles} publishes, last look to first`,
      asked: { atMost: ASKED.growthPercent },
      measured: growth(first, last),
      unit: '%',
    },
    {
      part,
      what: 'the same, medians of several looks at each end',
      asked: { atMost: ASKED.growthPercent },
      measured: growth(before, after),
      unit: '%',
    },
    {
      part,
      // Files are shared with whatever else runs Node here, which moves the proportional size up and down.
      what: 'the same, without what is mapped from files',
      asked: null,
      measured: growth(warm[0]?.anonymousMiB ?? null, warm.at(-1)?.anonymousMiB ?? null),
      unit: '%',
    },
  ];
  const rows = looks.map((look) => ({
    cycles: look.cycles,
    'gateway MiB': rounded(look.gatewayMiB, 1),
    'worker MiB': rounded(look.workerMiB, 1),
    'whole MiB': rounded(look.wholeMiB, 1),
    'of it anonymous': rounded(look.anonymousMiB, 1),
    processes: look.processes,
  }));
  const notes = [
    `memory: ${RTMP_CLIP_NOTE}, one viewer`,
    `memory: publishes by RTMP and WHIP in turn, each watched for a moment, on ${STREAMS} streams; looked at when all are idle; growth is counted from the ${WARM_UP_CYCLES}th on`,
  ];
  return { figures, tables: [{ title: 'idle memory over publishes', rows }], notes, details: { peaks, looks } };
}
