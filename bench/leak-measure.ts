import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import type { Truth, TruthBox } from './clip-motion.ts';
import { FaceLegibility } from './face-legibility.ts';
import { readLuma } from './luma-reader.ts';
import { OutsideDifference } from './outside-difference.ts';

export interface MeasureLeaksOptions {
  /** The clip before blurring. */
  source: string;
  /** The clip after blurring; it may be of another size or codec. */
  output: string;
  /** The truth, or its JSON file. */
  truth: Truth | string;
  /** Faces whose shorter side is smaller are not counted; default 20. */
  minFacePx?: number;
  /** Ids of faces that were meant to stay visible. */
  keep?: Iterable<number>;
  /** For each frame, where the engine covered something; see `coveredBoxes`. */
  covered?: readonly TruthBox[][];
  /** Output frames to leave out at the start; default 0. */
  offset?: number;
}

/** One legible face that should not be. */
export interface Leak {
  frame: number;
  id: number;
  correlation: number;
  widthPx: number;
}

export interface LeakFigures {
  /** Frames compared. */
  frames: number;
  truthFrames: number;
  /** True where one of the two clips ended before the other. */
  frameCountsDiffer: boolean;
  /** Faces to hide, summed over frames. */
  faceFrames: number;
  /** How many of those are legible. */
  leaked: number;
  leakedPer1000: number;
  /** 0..1: how often a face of `keep` is legible; null without any. */
  keptVisible: number | null;
  /** Mean absolute difference of grey values away from faces, 0..255. */
  outsideMeanAbsDiff: number;
  /** PSNR of full-range grey values away from faces; 100 where nothing differs, null where there is no such place. */
  psnrOutsideDb: number | null;
  /** The same away from what was covered, be it a face or not; null without `covered`. */
  psnrOutsideMasksDb: number | null;
  /** Leaks and appearances of every face that leaks. */
  perFace: Record<string, { leaked: number; faceFrames: number }>;
  /** The first leaks. */
  worst: Leak[];
}

/** The picture around faces is compared in one frame of this many: it changes slowly, and it costs the most. */
const OUTSIDE_FRAME_STEP = 10;
const MAX_WORST = 12;

class FaceTally {
  faceFrames = 0;
  leaked = 0;
  keptSeen = 0;
  keptVisible = 0;
  readonly perFace = new Map<number, { leaked: number; faceFrames: number }>();
  readonly worst: Leak[] = [];

  addKept(legible: boolean): void {
    this.keptSeen++;
    if (legible) this.keptVisible++;
  }

  addHidden(frame: number, [id, , , width]: TruthBox, correlation: number, legible: boolean): void {
    const face = this.perFace.get(id) ?? { leaked: 0, faceFrames: 0 };
    this.perFace.set(id, face);
    this.faceFrames++;
    face.faceFrames++;
    if (!legible) return;
    this.leaked++;
    face.leaked++;
    if (this.worst.length < MAX_WORST) {
      this.worst.push({ frame, id, correlation: round(correlation, 2), widthPx: Math.trunc(width) });
    }
  }
}

/**
 * Measures, against the truth, how often a face is still legible in the output and how much the rest of the picture
 * has changed. Streams both clips: memory does not grow with their length.
 * @throws Error where a clip has no video track; FFmpegError where one cannot be read
 */
export async function measureLeaks(options: MeasureLeaksOptions): Promise<LeakFigures> {
  const { source, output, minFacePx = 20, offset = 0 } = options;
  const truth: Truth =
    typeof options.truth === 'string' ? JSON.parse(readFileSync(options.truth, 'utf8')) : options.truth;
  const keep = new Set(options.keep);
  const { width, height } = truth;
  const sourceFrames = readLuma(source, width, height);
  const outputFrames = readLuma(output, width, height);
  const legibility = new FaceLegibility(width, height);
  const outside = new OutsideDifference(width, height);
  const outsideMasks = new OutsideDifference(width, height);
  const tally = new FaceTally();
  let frames = 0;
  let frameCountsDiffer = false;
  try {
    for (let i = 0; i < offset; i++) await outputFrames.next();
    for (;;) {
      const [a, b] = await Promise.all([sourceFrames.next(), outputFrames.next()]);
      frameCountsDiffer = !a.done !== !b.done;
      if (a.done || b.done || frames >= truth.frames.length) break;
      const boxes = truth.frames[frames]!;
      if (frames % OUTSIDE_FRAME_STEP === 0) {
        outside.add(a.value, b.value, boxes);
        if (options.covered) outsideMasks.add(a.value, b.value, options.covered[frames] ?? []);
      }
      for (const box of boxes) {
        if (Math.min(box[3], box[4]) < minFacePx) continue;
        const seen = legibility.compare(a.value, b.value, box);
        if (!seen) continue;
        if (keep.has(box[0])) tally.addKept(seen.legible);
        else tally.addHidden(frames, box, seen.correlation, seen.legible);
      }
      frames++;
    }
  } finally {
    await sourceFrames.return();
    await outputFrames.return();
  }
  return {
    frames,
    truthFrames: truth.frames.length,
    frameCountsDiffer,
    faceFrames: tally.faceFrames,
    leaked: tally.leaked,
    leakedPer1000: round((1000 * tally.leaked) / Math.max(1, tally.faceFrames), 2),
    keptVisible: tally.keptSeen ? round(tally.keptVisible / tally.keptSeen, 3) : null,
    outsideMeanAbsDiff: round(outside.meanAbsDifference, 2),
    psnrOutsideDb: outside.psnrDb === null ? null : round(outside.psnrDb, 2),
    psnrOutsideMasksDb: outsideMasks.psnrDb === null ? null : round(outsideMasks.psnrDb, 2),
    perFace: Object.fromEntries([...tally.perFace].filter(([, face]) => face.leaked > 0)),
    worst: tally.worst,
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      min: { type: 'string', default: '20' },
      offset: { type: 'string', default: '0' },
      keep: { type: 'string', default: '' },
    },
  });
  const [source, output, truth] = positionals;
  if (!source || !output || !truth) {
    throw new Error(
      'usage: node bench/leak-measure.ts source.mp4 output.mp4 truth.json [--min 20] [--offset 0] [--keep id,id]',
    );
  }
  Log.setLevel(AV_LOG_ERROR);
  const keep = values.keep.split(',').filter(Boolean).map(Number);
  const options = { source, output, truth, keep, minFacePx: Number(values.min), offset: Number(values.offset) };
  console.log(JSON.stringify(await measureLeaks(options)));
}

if (import.meta.main) await main();
