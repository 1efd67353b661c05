// Who is seen in a live stream by a match, and what recognition costs there. Prints figures only: no embedding.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AV_LOG_QUIET, Log } from 'node-av';
import { openDetector } from '../inference/detect/open-detector.ts';
import type { CodedVideo } from '../inference/live/coded-media.ts';
import { createLiveEngine } from '../inference/live/create-live-engine.ts';
import type { EngineStats } from '../inference/live/live-engine.ts';
import { DEFAULT_POLICY, type PeoplePolicy } from '../inference/policy.ts';
import { FaceEmbedder } from '../inference/recognise/face-embedder.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { resolveDetector, resolveRecogniser } from '../models/resolve.ts';
import { cachedClip, OUT_FOLDER, TESTDATA_FOLDER } from './clips.ts';
import { enrol, type LabelledClip, labelledClips, type Models } from './identity/labelled-clips.ts';
import { readStill } from './identity/labelled-looks.ts';
import { type FaceFrame, shownFaces } from './identity/shown-faces.ts';
import { codeLive, writeCoded } from './live-source.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

const FPS = 30;
const TICKS = 90_000 / FPS;
/** Where it is counted who is seen; what recognition costs is measured without. */
const LOOKAHEAD_FRAMES = 3;
const BITRATE_BPS = 4_000_000;
/** Nobody is known at once: what is asked for counts after a second, of the stream or of an appearance. */
const LEARNING_FRAMES = FPS;
const MIN_SIZE_PX = 48;
/** Frames on their way at most where nothing may be dropped, beside those held for look-ahead. */
const AHEAD = 1;
/** No frame for so long means that one was dropped all the same. */
const STALL_MS = 2000;
/** Whatever is dropped makes it unsure who anybody is, and says more of the machine than of the rules: then it is sent again. */
const TRIES = 4;
const FOLDER = join(OUT_FOLDER, 'live-identity');

/** Five people before an unsteady hand, and how often they are shown to each variant. */
const COST = { photo: 'detect/group/linzaer_3.jpg', seconds: 8, warmUpFrames: 60 };

const IN_STEP = { lookaheadFrames: LOOKAHEAD_FRAMES, waits: true };
const IN_TIME = { lookaheadFrames: 0, waits: false };

interface Sent {
  readonly video: CodedVideo[];
  readonly latencies: number[];
  readonly stats: readonly EngineStats[];
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Sends frames in real time through an engine of their own, over and over, so many in all.
 * @param options `waits`: no frame is sent before the engine has done with those before it, so that a busy machine drops none
 */
async function send(
  frames: readonly CodedVideo[],
  total: number,
  people: PeoplePolicy | undefined,
  { lookaheadFrames, waits }: { readonly lookaheadFrames: number; readonly waits: boolean },
): Promise<Sent> {
  const sentAtMs = new Map<number, number>();
  const [video, latencies, stats]: [CodedVideo[], number[], EngineStats[]] = [[], [], []];
  const engine = await createLiveEngine(
    {
      input: 'h264',
      output: 'h264',
      policy: { ...DEFAULT_POLICY, lookaheadFrames, ...(people && { people }) },
      bitrateBps: BITRATE_BPS,
      keyframeIntervalMs: null,
      audio: null,
      models: defaultModelLocations(process.env),
    },
    {
      onVideo: (frame) => {
        latencies.push(performance.now() - sentAtMs.get(frame.pts)!);
        video.push(frame);
      },
      onAudio: () => undefined,
      onKeyframeNeeded: () => undefined,
      onStats: (each) => stats.push(each),
      onFaces: () => undefined,
      onClosed: (reason) => {
        if (reason) throw reason;
      },
    },
  );
  // Loading is no part of what is measured; on a busy machine it takes seconds.
  while (people && !stats.at(-1)?.recognition.recogniser) await sleep(50);
  const began = performance.now();
  for (let n = 0; n < total; n++) {
    const wait = began + (n * 1000) / FPS - performance.now();
    if (wait > 0) await sleep(wait);
    const deadline = performance.now() + STALL_MS;
    while (waits && video.length < n - lookaheadFrames - AHEAD && performance.now() < deadline) await sleep(2);
    const { data, isKeyframe } = frames[n % frames.length]!;
    sentAtMs.set(n * TICKS, performance.now());
    engine.pushVideo({ data: new Uint8Array(data), pts: n * TICKS, isKeyframe });
  }
  // The last statistics, and the last frames.
  await sleep(1200);
  await engine.close();
  return { video, latencies, stats };
}

/** One person enrolled, everyone else a stranger. */
async function exceptRow(models: Models, labelled: LabelledClip, person: string): Promise<Row> {
  const { clip, people, photos } = labelled;
  const enrolled = await enrol(models, person, photos);
  const frames = await codeLive(clip.file, { codec: 'h264', bitrateBps: BITRATE_BPS });
  const policy: PeoplePolicy = { mode: 'except', recogniser: models.embedder.name, people: [enrolled] };
  let run = await send(frames, frames.length, policy, IN_STEP);
  for (let tries = 1; run.video.length < frames.length && tries < TRIES; tries++) {
    run = await send(frames, frames.length, policy, IN_STEP);
  }
  const { video, stats } = run;
  mkdirSync(FOLDER, { recursive: true });
  const [sent, left] = [join(FOLDER, `${clip.name}.h264`), join(FOLDER, `${clip.name}-${person}.h264`)];
  writeCoded(sent, 'h264', frames);
  writeCoded(left, 'h264', video);
  const numbers = video.map(({ pts }) => pts / TICKS);
  const faces = await shownFaces(clip, sent, left, numbers);
  const isTheirs = ({ face }: FaceFrame) => people[face] === person;
  const theirs = faces.filter((face) => isTheirs(face) && face.isWhole && face.sizePx >= MIN_SIZE_PX);
  const inStream = theirs.filter(({ frame }) => frame >= LEARNING_FRAMES);
  const inView = new Set(theirs.map(({ frame }) => frame));
  const hasBeenThere = (frame: number) =>
    Array.from({ length: LEARNING_FRAMES }, (_, n) => frame - n - 1).every((before) => inView.has(before));
  const inAppearance = inStream.filter(({ frame }) => hasBeenThere(frame));
  const others = faces.filter((face) => !isTheirs(face));
  return {
    clip: clip.name,
    enrolled: person,
    photos: enrolled.embeddings.length,
    'frames out': video.length,
    'others: face-frames': others.length,
    'others: seen': others.filter(({ isSeen }) => isSeen).length,
    'theirs after 1 s of the stream': inStream.length,
    seen: inStream.filter(({ isSeen }) => isSeen).length,
    'theirs after 1 s in view': inAppearance.length,
    'of these seen': inAppearance.filter(({ isSeen }) => isSeen).length,
    'embeddings/s': rounded(Math.max(0, ...stats.map(({ recognition }) => recognition.embeddingsPerSecond)), 1),
    'failed looks': stats.at(-1)?.recognition.failures ?? null,
  };
}

function totalRow(rows: readonly Row[]): Row {
  const sum = (column: string) => rows.reduce((total, row) => total + Number(row[column] ?? 0), 0);
  const [others, seen] = [sum('others: face-frames'), sum('others: seen')];
  const part = (all: string, some: string) => rounded((100 * sum(some)) / Math.max(1, sum(all)), 1);
  return {
    clip: 'all',
    'frames out': sum('frames out'),
    'others: face-frames': others,
    'others: seen': seen,
    'theirs after 1 s of the stream': sum('theirs after 1 s of the stream'),
    seen: sum('seen'),
    'theirs after 1 s in view': sum('theirs after 1 s in view'),
    'of these seen': sum('of these seen'),
    'others seen per 1000': rounded((1000 * seen) / Math.max(1, others), 2),
    'seen %': part('theirs after 1 s of the stream', 'seen'),
    'of these seen %': part('theirs after 1 s in view', 'of these seen'),
  };
}

/** The same stream with and without recognition, in turn, each in a new process. */
async function costRows(models: Models, rounds: number): Promise<Row[]> {
  const photo = join(TESTDATA_FOLDER, COST.photo);
  const picture = readStill(readFileSync(photo));
  const found = await models.detector.detect(picture, 640, 0.6);
  const embeddings: Float32Array[] = [];
  for (const face of found) {
    const look = models.embedder.look(picture, face);
    if (look) embeddings.push(await models.embedder.embed(look.chip));
  }
  picture.free();
  const boxes = found.map(({ x, y, w, h }) => [x, y, w, h] as const);
  const clip = await cachedClip('five-still', { photo, boxes, motion: 'still', seed: 1, seconds: 4 });
  const frames = await codeLive(clip.file, { codec: 'h264', keyframeEvery: 120 });
  const people: PeoplePolicy = {
    mode: 'except',
    recogniser: models.embedder.name,
    people: [{ id: 'one of them', embeddings: embeddings.slice(0, 1) }],
  };
  const variants = { without: undefined, with: people } as const;
  const times = { without: [] as number[][], with: [] as number[][] };
  const stats = { without: [] as EngineStats[], with: [] as EngineStats[] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const);
    for (const name of order) {
      const sent = await send(frames, COST.seconds * FPS, variants[name], IN_TIME);
      times[name].push(sent.latencies.slice(COST.warmUpFrames));
      stats[name].push(...sent.stats.slice(2));
    }
  }
  // A machine that does something else beside is only ever slower: what the quietest round shows is least wrong.
  const quietest = (name: keyof typeof variants, part: number) =>
    Math.min(...times[name].map((round) => percentile(round, part) ?? Number.POSITIVE_INFINITY));
  const rows = (['without', 'with'] as const).map((name): Row => {
    const median = (pick: (each: EngineStats) => number | null) =>
      percentile(
        stats[name].flatMap((each) => pick(each) ?? []),
        50,
      );
    return {
      recognition: name,
      faces: median(({ faces }) => faces),
      'p50 ms': rounded(percentile(times[name].flat(), 50), 1),
      'p99 ms': rounded(percentile(times[name].flat(), 99), 1),
      'quietest round: p50 ms': rounded(quietest(name, 50), 1),
      'quietest round: p99 ms': rounded(quietest(name, 99), 1),
      'detect every': median(({ detectEveryFrames }) => detectEveryFrames),
      'embeddings/s': median(({ recognition }) => recognition.embeddingsPerSecond),
      'detect/blur/encode ms': (['detect', 'blur', 'encode'] as const)
        .map((stage) =>
          rounded(
            median(({ stageMs }) => stageMs[stage]),
            2,
          ),
        )
        .join(' / '),
    };
  });
  const added = (part: number) => percentile(times.with.flat(), part)! - percentile(times.without.flat(), part)!;
  rows.push({
    recognition: 'added',
    'p50 ms': rounded(added(50), 1),
    'p99 ms': rounded(added(99), 1),
    'quietest round: p50 ms': rounded(quietest('with', 50) - quietest('without', 50), 1),
    'quietest round: p99 ms': rounded(quietest('with', 99) - quietest('without', 99), 1),
  });
  return rows;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      clips: { type: 'string', default: '' },
      rounds: { type: 'string', default: '4' },
      'no-cost': { type: 'boolean', default: false },
      'no-except': { type: 'boolean', default: false },
    },
  });
  Log.setLevel(AV_LOG_QUIET);
  const locations = defaultModelLocations(process.env);
  const recogniser = await resolveRecogniser(locations);
  const found = await resolveDetector(locations, (message) => console.error(message));
  const models: Models = {
    embedder: await FaceEmbedder.open(recogniser.entry, recogniser.bytes, 1),
    detector: await openDetector(found.entry, found.bytes, 1),
    entry: found.entry,
  };
  if (!values['no-cost']) {
    const rows = await costRows(models, Number(values.rounds));
    report('live-identity-cost', rows, { fps: FPS, ...IN_TIME, rows });
  }
  if (!values['no-except']) {
    const rows: Row[] = [];
    for (const labelled of await labelledClips(models)) {
      if (!labelled.clip.name.startsWith(values.clips)) continue;
      const people = new Set(labelled.people.filter((person) => person !== null));
      // Of a crowd every other one, of a family everyone.
      const chosen = [...people].filter((_, i) => people.size < 5 || i % 2 === 0);
      for (const person of chosen) {
        const row = await exceptRow(models, labelled, person);
        rows.push(row);
        console.error(JSON.stringify(row));
      }
    }
    rows.push(totalRow(rows));
    report('live-identity', rows, { fps: FPS, ...IN_STEP, rows });
  }
  await models.detector.close();
  await models.embedder.close();
}

await main();
