import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Box } from '../clip-motion.ts';
import { photoBoxes, TESTDATA_FOLDER } from '../clips.ts';
import { median, percentile, rounded } from '../statistics.ts';
import { BenchBrowser } from './bench-browser.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess, startRawSfu } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { cpuBetween, serverProcesses } from './process-usage.ts';
import { forMs } from './stream-api.ts';

const DEFAULT_SECONDS = 30;
const DEFAULT_ROUNDS = 3;
/** Chromium's bandwidth estimate and its jitter buffer settle in this time. */
const WARM_UP_MS = 8000;
const LIVE_LIMIT_MS = 20_000;
const PHOTO = 'detect/group/linzaer_16.jpg';
const CODEC = 'vp8';
const ASKED = { p50: 55, p95: 90, cost: 25 };

/** A photo, base64, and where in it a face is with some room around it. */
interface Face {
  readonly photo: string;
  readonly crop: Box;
}

function largestFace(): Face {
  const photo = readFileSync(join(TESTDATA_FOLDER, PHOTO)).toString('base64');
  const [x, y, width, height] = photoBoxes(PHOTO).toSorted((a, b) => b[2] * b[3] - a[2] * a[3])[0]!;
  const side = Math.round(2 * Math.max(width, height));
  const crop: Box = [Math.round(x + (width - side) / 2), Math.round(y + (height - side) / 2), side, side];
  return { photo, crop };
}

interface Sampled {
  readonly ms: readonly number[];
  readonly unread: number;
  readonly painted: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly packetsLost?: number;
  readonly framesDropped?: number;
}

interface Round extends Sampled {
  readonly variant: 'blurred' | 'SFU alone';
  /** Of one core; null where it was not looked at. */
  readonly serverCpu: number | null;
  readonly toldMs: number | null;
}

async function blurredRound({ photo, crop }: Face, ms: number, profile: boolean): Promise<Round> {
  await using gateway = await GatewayProcess.start({ profile });
  await using browser = await BenchBrowser.start();
  const { api } = gateway;
  const { id, key } = await api.create('glass', 0);
  const page = await browser.open(gateway.url);
  await page.call('publish', `${gateway.url}/whip/${id}`, key, photo, crop, CODEC);
  await api.until(id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
  await page.call('watch', `${gateway.url}/whep/${id}`);
  await forMs(WARM_UP_MS);
  const before = serverProcesses(gateway.pid);
  const sampled = await page.call<Sampled>('sample', ms);
  const cpu = cpuBetween(before, serverProcesses(gateway.pid));
  const { stats } = await api.get(id);
  const serverCpu = (1000 * Object.values(cpu).reduce((all, one) => all + one, 0)) / ms;
  return { ...sampled, variant: 'blurred', serverCpu, toldMs: stats?.addedLatencyMs.p50 ?? null };
}

async function rawRound({ photo, crop }: Face, ms: number): Promise<Round> {
  await using sfu = await startRawSfu();
  await using browser = await BenchBrowser.start();
  const page = await browser.open(sfu.url);
  await page.call('prepare', `${sfu.url}/prepare/${CODEC}`);
  await page.call('publish', `${sfu.url}/whip/raw`, '', photo, crop, CODEC);
  await page.call('watch', `${sfu.url}/whep/raw`);
  await forMs(WARM_UP_MS);
  const before = serverProcesses(sfu.pid);
  const sampled = await page.call<Sampled>('sample', ms);
  const cpu = cpuBetween(before, serverProcesses(sfu.pid));
  const serverCpu = (1000 * Object.values(cpu).reduce((all, one) => all + one, 0)) / ms;
  return { ...sampled, variant: 'SFU alone', serverCpu, toldMs: null };
}

/** From painting a number in Chromium to its being shown there, through the gateway and through the SFU alone. */
export async function measureGlass(options: PartOptions): Promise<PartResult> {
  const ms = 1000 * (options.seconds ?? DEFAULT_SECONDS);
  const face = largestFace();
  const rounds: Round[] = [];
  for (let round = 0; round < (options.rounds ?? DEFAULT_ROUNDS); round++) {
    const variants = [() => rawRound(face, ms), () => blurredRound(face, ms, options.profile)];
    for (const variant of round % 2 === 0 ? variants : variants.toReversed()) {
      const done = await variant();
      rounds.push(done);
      const [p50, p95] = [percentile(done.ms, 50), percentile(done.ms, 95)].map((value) => rounded(value, 1));
      console.error(`glass round ${round + 1}: ${done.variant} p50 ${p50} p95 ${p95} ms, ${done.ms.length} shown`);
    }
  }
  return resultOf(rounds);
}

function resultOf(rounds: readonly Round[]): PartResult {
  const middle = (variant: Round['variant'], part: number) =>
    median(rounds.filter((round) => round.variant === variant).map(({ ms }) => percentile(ms, part) ?? Number.NaN));
  const [blurred, raw] = [middle('blurred', 50), middle('SFU alone', 50)];
  const common = { part: 'glass', unit: 'ms' };
  const figures = [
    { ...common, what: 'glass to glass p50, blurred', asked: { atMost: ASKED.p50 }, measured: blurred },
    { ...common, what: 'glass to glass p95, blurred', asked: { atMost: ASKED.p95 }, measured: middle('blurred', 95) },
    { ...common, what: 'glass to glass p50, SFU alone', asked: null, measured: raw },
    { ...common, what: 'glass to glass p95, SFU alone', asked: null, measured: middle('SFU alone', 95) },
    {
      ...common,
      what: 'what blurring costs, p50',
      asked: { atMost: ASKED.cost },
      measured: blurred === null || raw === null ? null : blurred - raw,
    },
  ];
  const rows = rounds.map((round) => ({
    variant: round.variant,
    'p50 ms': rounded(percentile(round.ms, 50), 1),
    'p95 ms': rounded(percentile(round.ms, 95), 1),
    shown: round.ms.length,
    painted: round.painted,
    unread: round.unread,
    size: `${round.frameWidth}x${round.frameHeight}`,
    'told p50': round.toldMs,
    'server %': round.serverCpu === null ? null : rounded(100 * round.serverCpu, 0),
  }));
  const notes = [
    `glass: headless Chromium paints, codes (${CODEC}, 640x360, 30 fps), decodes and shows on the same cores; time of a frame is from painting its number to the video frame callback that shows it`,
  ];
  return { figures, tables: [{ title: 'glass to glass', rows }], notes, details: { rounds } };
}
