import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Analysis, Verdict } from '../../inference/analysis/analysis.ts';
import { AnalysisReader, type FrameRecord } from '../../inference/analysis/analysis-file.ts';
import { decide } from '../../inference/analysis/decide.ts';
import { VerdictIndex } from '../../inference/analysis/verdict-index.ts';
import { analyseFile } from '../../inference/blur-file.ts';
import type { KnownPerson, PeoplePolicy } from '../../inference/policy.ts';
import { refusalOf } from '../../inference/recognise/look-quality.ts';
import { iou } from '../../inference/track/box.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { OUT_FOLDER } from '../clips.ts';
import type { Row } from '../report.ts';
import { rounded } from '../statistics.ts';
import type { LabelledLook } from './labelled-looks.ts';
import type { PeopleClip, PersonBox } from './people-clips.ts';

/** A clip with what the engine found in it. */
export interface AnalysedClip {
  readonly clip: PeopleClip;
  readonly analysis: Analysis;
  readonly records: readonly FrameRecord[];
}

/** From here on two boxes are one face's. */
const SAME_FACE_IOU = 0.3;
const MIN_ASKED_PX = 48;
const MAX_ENROLMENT_PHOTOS = 5;

/** Analyses a clip and reads back what was written. */
export async function analyseClip(clip: PeopleClip): Promise<AnalysedClip> {
  const path = join(OUT_FOLDER, `${clip.name}.faces`);
  try {
    const models = defaultModelLocations(process.env);
    const analysis = await analyseFile({ input: clip.file, output: path, models });
    await using reader = await opened(path);
    const records: FrameRecord[] = [];
    for (let record = await reader.next(); record; record = await reader.next()) records.push(record);
    return { clip, analysis, records };
  } finally {
    rmSync(path, { force: true });
  }
}

async function opened(path: string): Promise<AnalysisReader & AsyncDisposable> {
  const reader = await AnalysisReader.open(path);
  return Object.assign(reader, { [Symbol.asyncDispose]: () => reader.close() });
}

/** What showing one person did, in face-frames. */
interface Shown {
  others: number;
  othersShown: number;
  asked: number;
  askedShown: number;
  /** With those that are small, turned, or just came. */
  own: number;
  ownShown: number;
}

/** Everyone of the looks, by photos that the clip is not made of. */
export function enrolledFor(
  clip: PeopleClip,
  looks: readonly LabelledLook[],
  most = MAX_ENROLMENT_PHOTOS,
): KnownPerson[] {
  const free = looks.filter(({ file, quality }) => !clip.photos.includes(file) && refusalOf(quality) === null);
  const people = Map.groupBy(free, ({ person }) => person);
  return [...people].map(([id, own]) => ({ id, embeddings: own.slice(-most).map(({ embedding }) => embedding) }));
}

/**
 * Enrols each person in turn and counts whom that makes visible: `except`, one enrolled person among others; or `only`,
 * one who alone is covered.
 */
export function shownRow(
  name: string,
  clips: readonly AnalysedClip[],
  looks: readonly LabelledLook[],
  mode: PeoplePolicy['mode'],
  photosEach: number,
): Row {
  const total: Shown = { others: 0, othersShown: 0, asked: 0, askedShown: 0, own: 0, ownShown: 0 };
  let trials = 0;
  for (const analysed of clips) {
    for (const person of enrolledFor(analysed.clip, looks, photosEach)) {
      const { analysis } = analysed;
      const verdicts = decide(analysis, { mode, recogniser: analysis.recogniser, people: [person] });
      count(analysed, verdicts, person.id, total);
      trials++;
    }
  }
  const per = (part: number, of: number, scale: number) => (of === 0 ? null : rounded((part * scale) / of, 2));
  return {
    clips: name,
    mode,
    'photos of the person': photosEach,
    trials,
    'face-frames of others': total.others,
    'of them shown, per 1000': per(total.othersShown, total.others, 1000),
    'frontal, ≥ 48 px, after 1 s': total.asked,
    'of them shown %': per(total.askedShown, total.asked, 100),
    'all of the person': total.own,
    'of all shown %': per(total.ownShown, total.own, 100),
  };
}

function count({ clip, records }: AnalysedClip, verdicts: readonly Verdict[], person: string, total: Shown): void {
  const index = new VerdictIndex(verdicts);
  const since = new Map<string, number>();
  for (const [frame, truth] of clip.frames.entries()) {
    const faces = records[frame]?.faces ?? [];
    const covers = faces.filter(({ track }) => !index.isVisible(track, frame));
    const shown = faces.filter(({ track }) => index.isVisible(track, frame));
    if (clip.shots.includes(frame)) since.clear();
    for (const { person: own, box, isFrontal } of truth) {
      const place = { x: box[0], y: box[1], w: box[2], h: box[3] };
      const isAt = (cover: { box: typeof place }) => iou(cover.box, place) >= SAME_FACE_IOU;
      // Shown, and nothing else drawn over it.
      const isShown = shown.some(isAt) && !covers.some(isAt);
      if (own !== person) {
        total.others++;
        if (isShown) total.othersShown++;
        continue;
      }
      if (!since.has(own)) since.set(own, frame);
      total.own++;
      if (isShown) total.ownShown++;
      const isAsked = isFrontal && Math.sqrt(place.w * place.h) >= MIN_ASKED_PX && frame - since.get(own)! >= clip.fps;
      if (!isAsked) continue;
      total.asked++;
      if (isShown) total.askedShown++;
    }
    for (const own of [...since.keys()]) if (!truth.some((box) => box.person === own)) since.delete(own);
  }
}

/** How well the tracklets of a clip are put together, by pairs of them. */
export function clusterRow(name: string, clips: readonly AnalysedClip[]): Row {
  let [together, right, same, people, told, tracklets] = [0, 0, 0, 0, 0, 0];
  for (const { clip, analysis, records } of clips) {
    const labels = analysis.tracklets.map(({ track, firstFrame, lastFrame }) =>
      labelOf(clip, records, track, firstFrame, lastFrame),
    );
    const clusterOf = new Map(analysis.people.flatMap(({ id, tracklets: own }) => own.map((i) => [i, id] as const)));
    const known = labels.flatMap((label, i) => (label === null ? [] : [{ label, cluster: clusterOf.get(i)! }]));
    for (const [i, a] of known.entries()) {
      for (const b of known.slice(i + 1)) {
        if (a.cluster === b.cluster) together++;
        if (a.label === b.label) same++;
        if (a.cluster === b.cluster && a.label === b.label) right++;
      }
    }
    tracklets += known.length;
    people += new Set(known.map(({ label }) => label)).size;
    told += new Set(known.map(({ cluster }) => cluster)).size;
  }
  const [precision, recall] = [right / Math.max(1, together), right / Math.max(1, same)];
  return {
    clips: name,
    tracklets,
    people,
    'told apart as': told,
    'pairs of one person': same,
    precision: rounded(precision, 3),
    recall: rounded(recall, 3),
    F1: rounded((2 * precision * recall) / Math.max(1e-9, precision + recall), 3),
  };
}

/** Who is most often where a track is. */
function labelOf(
  clip: PeopleClip,
  records: readonly FrameRecord[],
  track: number,
  firstFrame: number,
  lastFrame: number,
): string | null {
  const seen = new Map<string, number>();
  for (let frame = firstFrame; frame <= lastFrame; frame++) {
    const own = records[frame]?.faces.find((face) => face.track === track);
    if (!own) continue;
    const at = clip.frames[frame]!.find(
      ({ box: [x, y, w, h] }: PersonBox) => iou(own.box, { x, y, w, h }) >= SAME_FACE_IOU,
    );
    if (at?.person) seen.set(at.person, (seen.get(at.person) ?? 0) + 1);
  }
  const [best] = [...seen].toSorted((a, b) => b[1] - a[1]);
  return best?.[0] ?? null;
}
