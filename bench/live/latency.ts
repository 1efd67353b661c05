import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { type CodedClip, codeClip } from '../../test/live/coded-clip.ts';
import { type Negotiate, WhepViewer } from '../../test/live/whep-viewer.ts';
import { WhipPublisher } from '../../test/live/whip-publisher.ts';
import { chooseClips, prepareClip } from '../clips.ts';
import { median, percentile, rounded } from '../statistics.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess, startRawSfu } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { cpuBetween, serverProcesses } from './process-usage.ts';
import { forMs, type StatsView } from './stream-api.ts';
import { viewOffer } from './view-offer.ts';

/** The gateway's own window of latencies holds 30 s; a run is a little longer, so that all of it is of the steady stream. */
const DEFAULT_SECONDS = 35;
const DEFAULT_ROUNDS = 2;
/** Connections, the encoder's rate and compilation settle in this time. */
const WARM_UP_MS = 6000;
const LIVE_LIMIT_MS = 15_000;
const CLIP = 'group-16-pan';
const CODECS: readonly VideoCodec[] = ['h264', 'vp8'];
const ASKED = { p50: 18, p99: 50 };

interface Peers {
  readonly clip: CodedClip;
  readonly publish: Negotiate;
  readonly watch: Negotiate;
  /** Resolves when someone can watch. */
  readonly ready: () => Promise<unknown>;
  readonly seconds: number;
}

/** From the last packet of each frame written by the publisher to the last of the same frame read by the viewer. */
async function endToEnd({ clip, publish, watch, ready, seconds }: Peers): Promise<{ ms: number[]; sent: number }> {
  const sentAt = new Map<number, number>();
  const network = (packet: Buffer, kind: 'video' | 'audio') => {
    if (kind === 'video') sentAt.set(packet.readUInt32BE(4), performance.now());
    return [packet];
  };
  const publisher = await WhipPublisher.publish({ clip, network }, publish);
  try {
    await ready();
    const viewer = await WhepViewer.watch(clip.codec, watch);
    try {
      await forMs(WARM_UP_MS);
      const from = performance.now();
      await forMs(seconds * 1000);
      const receivedAt = new Map<number, number>();
      for (const { rtp, atMs } of viewer.of('video')) receivedAt.set(rtp.readUInt32BE(4), atMs);
      // The last half second may still be on its way.
      const wanted = [...sentAt].filter(([, at]) => at >= from && at < from + seconds * 1000 - 500);
      const ms = wanted.flatMap(([timestamp, at]) => {
        const arrived = receivedAt.get(timestamp);
        return arrived === undefined ? [] : [arrived - at];
      });
      return { ms, sent: wanted.length };
    } finally {
      await viewer.close();
    }
  } finally {
    await publisher.close();
  }
}

interface Round {
  readonly codec: VideoCodec;
  readonly variant: 'blurred' | 'SFU alone';
  readonly p50: number | null;
  readonly p99: number | null;
  readonly frames: number;
  readonly sent: number;
  readonly stats: StatsView | null;
  /** Of one core. */
  readonly cpu: Record<string, number> | null;
}

async function rawRound(clip: CodedClip, seconds: number): Promise<Round> {
  await using sfu = await startRawSfu();
  const post = async (path: string, body: string) => {
    const response = await fetch(new URL(path, sfu.url), { method: 'POST', body });
    if (!response.ok) throw new Error(`SFU alone ${path}: ${response.status}\n${sfu.problems().join('\n')}`);
    return response.text();
  };
  await post(`/prepare/${clip.codec}`, await viewOffer(clip.codec));
  const { ms, sent } = await endToEnd({
    clip,
    seconds,
    publish: (offer) => post('/whip/raw', offer),
    watch: (offer) => post('/whep/raw', offer),
    ready: () => forMs(500),
  });
  const { codec } = clip;
  const [p50, p99] = [percentile(ms, 50), percentile(ms, 99)];
  return { codec, variant: 'SFU alone', p50, p99, frames: ms.length, sent, stats: null, cpu: null };
}

async function blurredRound(clip: CodedClip, seconds: number, profile: boolean): Promise<Round> {
  await using gateway = await GatewayProcess.start({ profile });
  const { api } = gateway;
  const stream = await api.create('latency', 0);
  let stats: StatsView | null = null;
  let cpu: Record<string, number> | null = null;
  const observed = (async () => {
    await api.until('latency', 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS + WARM_UP_MS);
    await forMs(WARM_UP_MS);
    const before = serverProcesses(gateway.pid);
    await forMs(seconds * 1000 - 1500);
    stats = (await api.get('latency')).stats;
    const spent = cpuBetween(before, serverProcesses(gateway.pid));
    cpu = Object.fromEntries(
      Object.entries(spent).map(([role, spentSeconds]) => [role, spentSeconds / (seconds - 1.5)]),
    );
  })();
  const [{ ms, sent }] = await Promise.all([
    endToEnd({
      clip,
      seconds,
      publish: async (offer) => (await api.whip(stream, offer)).answer,
      watch: async (offer) => (await api.whep('latency', offer)).answer,
      ready: () => api.until('latency', 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS),
    }),
    observed,
  ]);
  const { codec } = clip;
  return {
    codec,
    variant: 'blurred',
    p50: percentile(ms, 50),
    p99: percentile(ms, 99),
    frames: ms.length,
    sent,
    stats,
    cpu,
  };
}

/** Added latency at look-ahead 0: as the gateway tells it, and from outside less the same through the SFU alone. */
export async function measureLatency(options: PartOptions): Promise<PartResult> {
  const { seconds, rounds, clips, profile } = options;
  const recipe = chooseClips(clips.length > 0 ? clips.slice(0, 1) : [CLIP])[0]!;
  const source = await prepareClip(recipe);
  const folder = await mkdtemp(join(tmpdir(), 'faceblur-bench-latency-'));
  const results: Round[] = [];
  try {
    for (const codec of CODECS) {
      const clip = await codeClip(source.file, folder, { codec, keyframeEvery: 60 });
      for (let round = 0; round < (rounds ?? DEFAULT_ROUNDS); round++) {
        const variants = [
          () => rawRound(clip, seconds ?? DEFAULT_SECONDS),
          () => blurredRound(clip, seconds ?? DEFAULT_SECONDS, profile),
        ];
        for (const variant of round % 2 === 0 ? variants : variants.toReversed()) {
          results.push(await variant());
          const { variant: name, p50, p99 } = results.at(-1)!;
          console.error(
            `latency ${codec} round ${round + 1}: ${name} p50 ${rounded(p50, 1)} p99 ${rounded(p99, 1)} ms`,
          );
        }
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return resultOf(results, source.name);
}

function resultOf(results: readonly Round[], clip: string): PartResult {
  const middle = (codec: VideoCodec, variant: Round['variant'], value: (round: Round) => number | null) =>
    median(
      results
        .filter((round) => round.codec === codec && round.variant === variant)
        .map(value)
        .filter((one) => one !== null),
    );
  const figures = CODECS.flatMap((codec) => {
    const raw = middle(codec, 'SFU alone', ({ p50 }) => p50);
    return (['p50', 'p99'] as const).flatMap((quantile) => {
      const outside = middle(codec, 'blurred', (round) => round[quantile]);
      const told = middle(codec, 'blurred', ({ stats }) => stats?.addedLatencyMs[quantile] ?? null);
      const asked = { atMost: ASKED[quantile] };
      const common = { part: 'latency', asked, unit: 'ms' };
      return [
        { ...common, what: `added latency ${quantile}, ${codec}, in the gateway`, measured: told },
        {
          ...common,
          what: `added latency ${quantile}, ${codec}, outside less SFU alone's p50`,
          measured: outside === null || raw === null ? null : outside - raw,
        },
      ];
    });
  });
  const rows = results.map(({ codec, variant, p50, p99, frames, sent, stats, cpu }) => ({
    codec,
    variant,
    'p50 ms': rounded(p50, 2),
    'p99 ms': rounded(p99, 2),
    frames,
    'of sent': sent,
    'told p50': stats?.addedLatencyMs.p50 ?? null,
    'told p99': stats?.addedLatencyMs.p99 ?? null,
    dropped: stats ? Object.values(stats.frames.dropped).reduce((all, one) => all + one, 0) : null,
    'gateway %': cpu ? rounded(100 * cpu.gateway!, 0) : null,
    'worker %': cpu ? rounded(100 * cpu['media worker']!, 0) : null,
    'engine %': cpu ? rounded(100 * cpu.engine!, 0) : null,
  }));
  const lost = results.reduce((all, { sent, frames }) => all + sent - frames, 0);
  const notes = [
    ...(lost > 0 ? [`latency: ${lost} frames never came out and have no latency`] : []),
    `latency: ${clip} over WHIP by werift, 1280x720, 30 fps, 2.5 Mbit/s, look-ahead 0; publisher and viewer are one process on the same cores; medians of the rounds`,
  ];
  return { figures, tables: [{ title: 'latency', rows }], notes, details: { results } };
}
