// What rules of looking and believing leak, against what they cover falsely: trackers run over recorded looks.
import { parseArgs } from 'node:util';
import { AV_LOG_ERROR, Log } from 'node-av';
import { openDetector } from '../inference/detect/open-detector.ts';
import { fileTuning, liveTuning } from '../inference/detect/tuning.ts';
import type { Box } from '../inference/track/box.ts';
import { CameraPath } from '../inference/track/camera-path.ts';
import { coversAt } from '../inference/track/coverage.ts';
import { Tracker, type TrackerOptions } from '../inference/track/tracker.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { resolveModel } from '../models/resolve.ts';
import type { TruthBox } from './clip-motion.ts';
import { chooseClips, prepareClip } from './clips.ts';
import { coveredArea } from './covered-area.ts';
import { facelessPhotos, facelessVideos } from './faceless-clips.ts';
import { detectionsOf, type Recording, recordLooks } from './recorded-looks.ts';
import { type Row, report } from './report.ts';
import { rounded } from './statistics.ts';

interface Rule {
  readonly name: string;
  readonly everyFrames: number;
  readonly sharpEveryFrames: number;
  readonly sharpPx: number;
  readonly windowFrames: number;
  readonly tracker: TrackerOptions;
}

const MARGIN = 0.3;
const MIN_FACE_PX = 20;
/** A face counts as leaked where less than this of its inner part is under a mask. */
const MIN_COVERED = 0.6;
const SAMPLES = 8;
const PLAIN_PX = 640;
/** YuNet's milliseconds a look, by the longer side. */
const LOOK_MS: Readonly<Record<number, number>> = { 640: 7, 960: 17, 1280: 31 };

/** Runs a tracker over a recording in the order in which a pipeline would. */
function replay(recording: Recording, rule: Rule, onFrame: (frame: number, covers: readonly Box[]) => void): void {
  const { frames, width, height } = recording;
  const camera = new CameraPath();
  const tracker = new Tracker(rule.tracker, camera);
  const limits = { afterFrames: rule.tracker.maxLostFrames, beforeFrames: rule.windowFrames };
  let [lastLook, lastSharp, released] = [-1, Number.NEGATIVE_INFINITY, 0];
  let mustLook = true;
  const look = (index: number) => {
    if (index <= lastLook) return;
    const frame = frames[index]!;
    const isSharp = rule.sharpEveryFrames > 0 && (mustLook || index - lastSharp >= rule.sharpEveryFrames);
    // Sharp looks are recorded at some frames only; the few that are due at others are plain ones here.
    const px = isSharp && frame.looks[rule.sharpPx] ? rule.sharpPx : PLAIN_PX;
    if (isSharp) lastSharp = index;
    tracker.update(index, detectionsOf(frame, px), Math.max(width, height));
    lastLook = index;
    mustLook = false;
  };
  const release = () => {
    const index = released++;
    onFrame(
      index,
      tracker.tracksFrom(index).flatMap((track) => coversAt(track, index, camera, limits).map(({ box }) => box)),
    );
  };
  for (const [index, { cut, dx, dy }] of frames.entries()) {
    if (cut) {
      if (index > 0) look(index - 1);
      tracker.cut(index);
      mustLook = true;
    }
    camera.add(index, dx, dy);
    if (mustLook || index - lastLook >= rule.everyFrames) look(index);
    while (index - released >= rule.windowFrames) release();
  }
  look(frames.length - 1);
  while (released < frames.length) release();
}

/** How much of a face lies under masks, 0..1. */
function coveredPart([, x, y, w, h]: TruthBox, covers: readonly Box[], { width, height }: Recording): number {
  let [inside, covered] = [0, 0];
  for (let i = 0; i < SAMPLES * SAMPLES; i++) {
    const px = x + w * (0.1 + (0.8 * ((i % SAMPLES) + 0.5)) / SAMPLES);
    const py = y + h * (0.1 + (0.8 * (Math.floor(i / SAMPLES) + 0.5)) / SAMPLES);
    if (px < 0 || py < 0 || px >= width || py >= height) continue;
    inside++;
    const isUnder = covers.some((box) => {
      const dx = (px - box.x - box.w / 2) / ((box.w / 2) * (1 + MARGIN));
      const dy = (py - box.y - box.h / 2) / ((box.h / 2) * (1 + MARGIN));
      return dx * dx + dy * dy <= 1;
    });
    if (isUnder) covered++;
  }
  return inside === 0 ? 1 : covered / inside;
}

interface WithFaces {
  readonly recording: Recording;
  readonly truth: readonly TruthBox[][];
}

function measure(rule: Rule, clips: readonly WithFaces[], faceless: ReadonlyMap<string, readonly Recording[]>): Row {
  let [faces, leaked] = [0, 0];
  for (const { recording, truth } of clips) {
    replay(recording, rule, (index, covers) => {
      for (const face of truth[index]!) {
        if (Math.min(face[3], face[4]) < MIN_FACE_PX) continue;
        faces++;
        if (coveredPart(face, covers, recording) < MIN_COVERED) leaked++;
      }
    });
  }
  const row: Row = { rule: rule.name, 'leaks per 1000': rounded((1000 * leaked) / Math.max(1, faces), 2) };
  for (const [group, recordings] of faceless) {
    let [covered, pixels] = [0, 0];
    for (const recording of recordings) {
      const boxes: number[][] = [];
      replay(recording, rule, (index, covers) => {
        for (const { x, y, w, h } of covers) boxes.push([index, x, y, w, h]);
      });
      const input = { ...recording, frames: recording.frames.length };
      const area = coveredArea({ input, tracks: [{ boxes }] }, MARGIN);
      covered += area.covered;
      pixels += area.pixels;
    }
    row[`false, ${group} %`] = rounded((100 * covered) / Math.max(1, pixels), 2);
  }
  const sharpShare = rule.sharpEveryFrames > 0 ? rule.everyFrames / rule.sharpEveryFrames : 0;
  const ms = (LOOK_MS[PLAIN_PX]! * (1 - sharpShare) + (LOOK_MS[rule.sharpPx] ?? 0) * sharpShare) / rule.everyFrames;
  row['ms a frame'] = rounded(ms, 1);
  return row;
}

/** The rules in use, and what lies around them. */
function rulesAround(file: TrackerOptions, live: TrackerOptions): Rule[] {
  const ofFile = { everyFrames: 5, sharpEveryFrames: 15, sharpPx: 1280, windowFrames: 60, tracker: file };
  const ofLive = { everyFrames: 1, sharpEveryFrames: 0, sharpPx: 0, windowFrames: 3, tracker: live };
  const believing = (rule: Omit<Rule, 'name'>, belief: Partial<TrackerOptions['belief']>): Rule => ({
    ...rule,
    tracker: { ...rule.tracker, belief: { ...rule.tracker.belief, ...belief } },
    name: Object.entries(belief)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  });
  return [
    { ...ofFile, name: 'FILES, as chosen' },
    { ...ofFile, name: 'sharp at 960', sharpPx: 960 },
    { ...ofFile, name: 'every look sharp', sharpEveryFrames: 5 },
    { ...ofFile, name: 'never sharp', sharpEveryFrames: 0 },
    { ...ofFile, name: 'every 10, sharp every 30', everyFrames: 10, sharpEveryFrames: 30 },
    { ...ofFile, name: 'a window of half a second', windowFrames: 15 },
    { ...ofFile, name: 'lost for half a second', tracker: { ...file, maxLostFrames: 15 } },
    { ...ofFile, name: 'born at 0.1', tracker: { ...file, birthScore: 0.1 } },
    { ...ofFile, name: 'born at 0.3', tracker: { ...file, birthScore: 0.3 } },
    ...[0.15, 0.25, 0.3].map((neutralScore) => believing(ofFile, { neutralScore })),
    ...[0.2, 0.5, 0.8].map((largeNeutralScore) => believing(ofFile, { largeNeutralScore })),
    ...[0, 0.05, 0.3].map((missCost) => believing(ofFile, { missCost })),
    ...[0.1, 0.2, 0.6].map((enough) => believing(ofFile, { enough })),
    ...[0.6, 0.7, 0.75, 0.85, 0.9, 2].map((sureScore) => believing(ofFile, { sureScore })),
    { ...ofLive, name: 'LIVE at look-ahead 3, as chosen' },
    { ...ofLive, name: 'no look-ahead', windowFrames: 0 },
    { ...ofLive, name: 'every third frame', everyFrames: 3 },
    ...[0.2, 0.25].map((neutralScore) => believing(ofLive, { neutralScore })),
    ...[0.15, 0.5].map((largeNeutralScore) => believing(ofLive, { largeNeutralScore })),
    ...[0.1, 0.4].map((enough) => believing(ofLive, { enough })),
    ...[0.6, 0.7, 2].map((sureScore) => believing(ofLive, { sureScore })),
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { clips: { type: 'string', default: 'tuned' } } });
  Log.setLevel(AV_LOG_ERROR);
  const { entry, bytes } = await resolveModel('yunet-n', defaultModelLocations(process.env));
  const detector = await openDetector(entry, bytes, 1);
  const clips: WithFaces[] = [];
  for (const recipe of chooseClips(values.clips.split(','))) {
    const { file, truth } = await prepareClip(recipe);
    clips.push({ recording: await recordLooks(file, detector), truth: truth.frames });
    console.error(`${recipe.name} is recorded`);
  }
  const faceless = new Map<string, Recording[]>();
  for (const { file, group, name } of [
    ...(await facelessPhotos('still', 1)),
    ...(await facelessPhotos('pan', 2)),
    ...facelessVideos(),
  ]) {
    faceless.set(group, [...(faceless.get(group) ?? []), await recordLooks(file, detector)]);
    console.error(`${name} is recorded`);
  }
  await detector.close();
  // At 30 frames a second.
  const file = { ...fileTuning(entry).tracker, maxLostFrames: 30 };
  const rows = rulesAround(file, liveTuning(entry).tracker).map((rule) => {
    const row = measure(rule, clips, faceless);
    console.error(Object.values(row).join('  '));
    return row;
  });
  report('track-rules', rows, { rows });
}

await main();
