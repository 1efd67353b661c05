import { WhepViewer } from '../../test/live/whep-viewer.ts';
import { chooseClips, prepareClip } from '../clips.ts';
import { framesOf } from '../received-video.ts';
import { percentile, rounded } from '../statistics.ts';
import { BenchBrowser } from './bench-browser.ts';
import type { PartResult } from './figure.ts';
import { GatewayProcess } from './gateway-process.ts';
import type { PartOptions } from './part-options.ts';
import { loopedClip, RTMP_CLIP_NOTE } from './rtmp-clip.ts';
import { RtmpPublisher } from './rtmp-publisher.ts';
import { forMs, type StreamApi } from './stream-api.ts';

const DEFAULT_JOINS = 20;
const LOOKAHEAD_FRAMES = 3;
const ASKED_MS = 250;
const CLIP = 'group-16-pan';
const LIVE_LIMIT_MS = 30_000;
const WARM_UP_MS = 5000;
const FIRST_FRAME_LIMIT_MS = 10_000;
/** Joins fall anywhere between two keyframes of the publisher, which come every 2 s. */
const PAUSE_MS = 730;

/** From sending the WHEP POST to the last packet of the first keyframe. */
async function joinByWerift(api: StreamApi, id: string): Promise<number> {
  let postedAt = 0;
  const viewer = await WhepViewer.watch('h264', async (offer) => {
    postedAt = performance.now();
    return (await api.whep(id, offer)).answer;
  });
  try {
    const deadline = performance.now() + FIRST_FRAME_LIMIT_MS;
    for (;;) {
      await forMs(20);
      const first = framesOf(viewer.of('video'), 'h264').find(({ isKeyframe }) => isKeyframe);
      if (first) return first.atMs - postedAt;
      if (performance.now() > deadline) throw new Error(`no keyframe came within ${FIRST_FRAME_LIMIT_MS} ms`);
    }
  } finally {
    await viewer.close();
  }
}

/** How long one who joins a running stream waits for the first blurred frame. */
export async function measureJoin(options: PartOptions): Promise<PartResult> {
  const joins = options.rounds ?? DEFAULT_JOINS;
  const recipe = chooseClips(options.clips.length > 0 ? options.clips.slice(0, 1) : [CLIP])[0]!;
  const clip = await loopedClip(await prepareClip(recipe), 60 + 2 * joins * ((PAUSE_MS + 2000) / 1000));
  const byWerift: number[] = [];
  const byChromium: number[] = [];
  await using open = new AsyncDisposableStack();
  const gateway = open.use(await GatewayProcess.start({ profile: options.profile }));
  const { api } = gateway;
  const stream = await api.create('join', LOOKAHEAD_FRAMES);
  const publisher = open.use(await RtmpPublisher.start(clip, stream));
  await api.until(stream.id, 'live', ({ state }) => state === 'live', LIVE_LIMIT_MS);
  await forMs(WARM_UP_MS);
  for (let i = 0; i < joins; i++) {
    byWerift.push(await joinByWerift(api, stream.id));
    await forMs(PAUSE_MS);
  }
  const browser = open.use(await BenchBrowser.start());
  const page = await browser.open(gateway.url);
  for (let i = 0; i < joins; i++) {
    byChromium.push(await page.call<number>('join', `${gateway.url}/whep/${stream.id}`));
    await forMs(PAUSE_MS);
  }
  if (publisher.ended) throw new Error(`the publisher ended: ${publisher.written}`);
  const kinds = [
    { who: 'first keyframe received', ms: byWerift },
    { who: 'first frame shown in Chromium', ms: byChromium },
  ];
  const figures = kinds.flatMap(({ who, ms }) =>
    [50, 95].map((part) => ({
      part: 'join',
      what: `${who}, from the WHEP POST, p${part}`,
      asked: { atMost: ASKED_MS },
      measured: percentile(ms, part),
      unit: 'ms',
    })),
  );
  const rows = kinds.map(({ who, ms }) => ({
    viewer: who,
    joins: ms.length,
    'p50 ms': rounded(percentile(ms, 50), 1),
    'p95 ms': rounded(percentile(ms, 95), 1),
    'longest ms': rounded(percentile(ms, 100), 1),
  }));
  const notes = [
    `join: ${RTMP_CLIP_NOTE}, look-ahead ${LOOKAHEAD_FRAMES}; nobody else watches, so that each join is the first`,
  ];
  return { figures, tables: [{ title: 'joining a running stream', rows }], notes, details: { byWerift, byChromium } };
}
