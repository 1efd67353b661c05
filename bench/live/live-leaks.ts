import { WhepViewer } from '../../test/live/whep-viewer.ts';
import { chooseClips, prepareClip } from '../clips.ts';
import { framesOf, type LiveLeakFigures, measureLiveLeaks } from '../received-video.ts';
import { rounded } from '../statistics.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { RTMP_CLIP_NOTE, type RtmpClip, singleClip } from './rtmp-clip.ts';
import { RtmpPublisher } from './rtmp-publisher.ts';
import { forMs, type StatsView } from './stream-api.ts';

const LOOKAHEADS = [0, 3] as const;
const ASKED: Readonly<Record<number, number>> = { 3: 5 };
const LIVE_LIMIT_MS = 3500;
/** The last pictures leave after the publisher has sent them. */
const DRAIN_MS = 1000;

interface ClipRun {
  readonly clip: string;
  readonly lookahead: number;
  readonly figures: LiveLeakFigures;
  /** Pictures of the clip that a viewer should have got. */
  readonly due: number;
  readonly stats: StatsView | null;
}

async function runClip(gateway: GatewayProcess, clip: RtmpClip, lookahead: number): Promise<ClipRun> {
  const { api } = gateway;
  const stream = await api.create(`leaks-${clip.clip.name}-${lookahead}`, lookahead);
  const publisher = await RtmpPublisher.start(clip, stream);
  try {
    await api.until(stream.id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
    const begun = performance.now();
    const viewer = await WhepViewer.watch('h264', async (offer) => (await api.whep(stream.id, offer)).answer);
    try {
      await forMs(clip.seconds * 1000 - (performance.now() - begun) - DRAIN_MS);
      const { stats } = await api.get(stream.id);
      await forMs(DRAIN_MS);
      const { file, truth, name } = clip.clip;
      const frames = framesOf(viewer.of('video'), 'h264');
      const { indexOf } = clip;
      const figures = await measureLiveLeaks({ source: file, truth, frames, codec: 'h264', indexOf });
      return { clip: name, lookahead, figures, due: truth.frames.length, stats };
    } finally {
      await viewer.close();
    }
  } finally {
    await publisher.stop();
    await api.remove(stream.id);
  }
}

/** The leak measure on the suite's moving clips, each once through the live path at each look-ahead. */
export async function measureLeaksLive(options: PartOptions): Promise<PartResult> {
  const recipes = chooseClips(options.clips);
  const runs: ClipRun[] = [];
  await using gateway = await GatewayProcess.start({ profile: options.profile });
  for (const [index, recipe] of recipes.entries()) {
    const clip = await singleClip(await prepareClip(recipe));
    for (const lookahead of index % 2 === 0 ? LOOKAHEADS : LOOKAHEADS.toReversed()) {
      runs.push(await runClip(gateway, clip, lookahead));
      const { figures, due } = runs.at(-1)!;
      const leaked = `${figures.leaked} of ${figures.faceFrames} face-frames leaked`;
      console.error(`leaks ${recipe.name}, look-ahead ${lookahead}: ${leaked}, ${figures.frames}/${due} pictures`);
    }
  }
  return resultOf(runs);
}

function totalOf(runs: readonly ClipRun[], lookahead: number): { leaked: number; faceFrames: number; missing: number } {
  const chosen = runs.filter((run) => run.lookahead === lookahead);
  const sum = (value: (run: ClipRun) => number) => chosen.reduce((all, run) => all + value(run), 0);
  return {
    leaked: sum(({ figures }) => figures.leaked),
    faceFrames: sum(({ figures }) => figures.faceFrames),
    missing: sum(({ figures, due }) => due - figures.frames),
  };
}

function resultOf(runs: readonly ClipRun[]): PartResult {
  const figures = LOOKAHEADS.map((lookahead) => {
    const { leaked, faceFrames } = totalOf(runs, lookahead);
    const limit = ASKED[lookahead];
    return {
      part: 'leaks',
      what: `leaked face-frames per 1000 through the live path, look-ahead ${lookahead}`,
      asked: limit === undefined ? null : { atMost: limit },
      measured: faceFrames === 0 ? null : (1000 * leaked) / faceFrames,
      unit: '/1000',
    };
  });
  const rows = runs.map(
    ({ clip, lookahead, figures: { faceFrames, leaked, leakedPer1000, frames, psnrOutsideDb }, due, stats }) => ({
      clip,
      'look-ahead': lookahead,
      'face-frames': faceFrames,
      leaked,
      'per 1000': leakedPer1000,
      'PSNR outside faces dB': rounded(psnrOutsideDb, 2),
      'frames missing': due - frames,
      'covered whole': stats?.frames.covered ?? null,
      'detected %': stats ? rounded((100 * stats.frames.detected) / Math.max(1, stats.frames.in), 0) : null,
    }),
  );
  const missing = LOOKAHEADS.map((lookahead) => `${totalOf(runs, lookahead).missing} at look-ahead ${lookahead}`);
  const notes = [
    `leaks: each clip once, grey before and after it, ${RTMP_CLIP_NOTE}; what a WHEP viewer got, picture by picture`,
    `leaks: pictures that never reached the viewer: ${missing.join(', ')}`,
  ];
  return { figures, tables: [{ title: 'leaks', rows }], notes, details: { runs } };
}
