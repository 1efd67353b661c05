import type { RecognitionThresholds } from '../recognise/face-embedder.ts';
import { LOOKS_TO_DECIDE } from '../recognise/look-schedule.ts';
import { makeUnit, similarity } from '../recognise/similarity.ts';
import { iou } from '../track/box.ts';
import type { Cover } from '../track/coverage.ts';
import type { FrameRange, GoodLook, Tracklet } from './analysis.ts';
import { meanOf } from './mean-of-looks.ts';
import type { PicturedLook } from './track-looks.ts';

export interface TrackletOptions {
  /** A face that the detector did not see for more frames than this may be another's when it is seen again. */
  readonly maxUnseenFrames: number;
  /** Of the recogniser that looked. */
  readonly thresholds: RecognitionThresholds;
}

/** What is known of one frame once nothing can change it any more. */
export interface AnalysedFrame {
  readonly index: number;
  /** Whether it was inspected: else its faces are not known. */
  readonly isInspected: boolean;
  readonly faces: readonly Cover[];
}

/** The best look's picture of a tracklet. */
export interface Portrait {
  readonly jpeg: Uint8Array;
  /** 0..1 */
  readonly quality: number;
}

/** Pictures of faces are kept up to so many bytes: those of some ten thousand tracklets. */
const MAX_PORTRAIT_BYTES = 32 * 2 ** 20;
/** Past this overlap of two faces nobody can tell by their places alone which is which. */
const MAX_OVERLAP = 0.15;

interface Open {
  readonly track: number;
  readonly firstFrame: number;
  lastSeen: number;
  readonly looks: GoodLook[];
  /** Of the looks' embeddings. */
  sum: Float32Array | null;
  portrait: Portrait | null;
}

/**
 * Cuts tracks into parts in which each is sure to follow one face. What is between two parts belongs to none. Of parts
 * without a good look nothing is kept.
 */
export class TrackletBuilder {
  readonly #options: TrackletOptions;
  readonly #open = new Map<number, Open>();
  readonly #done: { readonly tracklet: Tracklet; readonly portrait: Portrait | null }[] = [];
  #portraitBytes = 0;

  constructor(options: TrackletOptions) {
    this.#options = options;
  }

  /**
   * Takes in the next frame.
   * @param looks by track, the good ones at this frame
   * @param jumped tracks that this frame's sighting may not be the same face's as the one before
   */
  add(frame: AnalysedFrame, looks: ReadonlyMap<number, PicturedLook>, jumped: ReadonlySet<number>): void {
    const { index, faces } = frame;
    const isHere = new Set(faces.map(({ track }) => track));
    for (const track of [...this.#open.keys()]) {
      if (!frame.isInspected || !isHere.has(track)) this.#close(track);
    }
    if (!frame.isInspected) return;
    const met = meeting(faces);
    for (const track of met) this.#close(track);
    for (const { track, score } of faces) {
      const open = this.#open.get(track);
      if (open && index - open.lastSeen > this.#options.maxUnseenFrames) this.#close(track);
      if (score === null || met.has(track)) continue;
      this.#see(track, index, looks.get(track), jumped.has(track));
    }
  }

  /** All that there are, by first frame, each with its portrait where there was room for it; once no frame follows. */
  finish(): { readonly tracklet: Tracklet; readonly portrait: Portrait | null }[] {
    for (const track of [...this.#open.keys()]) this.#close(track);
    return this.#done.sort(({ tracklet: a }, { tracklet: b }) => a.firstFrame - b.firstFrame || a.track - b.track);
  }

  #see(track: number, frame: number, look: PicturedLook | undefined, hasJumped: boolean): void {
    const open = this.#open.get(track);
    if (open && look && this.#isAnother(open, look, hasJumped)) {
      // Since when it was somebody else nobody knows.
      open.lastSeen = open.looks.at(-1)!.frame;
      this.#close(track);
    } else if (open && hasJumped && !look) this.#close(track);
    const current: Open = this.#open.get(track) ?? {
      track,
      firstFrame: frame,
      lastSeen: frame,
      looks: [],
      sum: null,
      portrait: null,
    };
    this.#open.set(track, current);
    current.lastSeen = frame;
    if (!look) return;
    const { embedding, quality, thumbnail } = look;
    current.looks.push({ frame, embedding, quality });
    if (!(current.portrait && current.portrait.quality >= quality)) current.portrait = { jpeg: thumbnail, quality };
    current.sum ??= new Float32Array(embedding.length);
    for (const [i, value] of embedding.entries()) current.sum[i]! += value;
  }

  /** Whether a look shows somebody else than those before it; after a jump it must show the same one. */
  #isAnother({ sum }: Open, { embedding }: GoodLook, hasJumped: boolean): boolean {
    if (!sum) return false;
    const { accept, reject } = this.#options.thresholds;
    const mean = sum.slice();
    // Written so that what is no number is somebody else.
    return !(makeUnit(mean) && similarity(mean, embedding) >= (hasJumped ? accept : reject));
  }

  #close(track: number): void {
    const open = this.#open.get(track);
    this.#open.delete(track);
    if (!open || open.looks.length === 0) return;
    this.#portraitBytes += open.portrait?.jpeg.length ?? 0;
    const portrait = this.#portraitBytes <= MAX_PORTRAIT_BYTES ? open.portrait : null;
    this.#add({ track, firstFrame: open.firstFrame, lastFrame: open.lastSeen }, open.looks, portrait);
  }

  /** Keeps a part of a track, or two where its first looks show somebody else than its last. */
  #add(range: FrameRange & { readonly track: number }, looks: readonly GoodLook[], portrait: Portrait | null): void {
    const change = this.#changeIn(looks);
    if (change > 0) {
      const [before, after] = [looks.slice(0, change), looks.slice(change)];
      const best = before.reduce((most, { quality }) => Math.max(most, quality), 0);
      const isBefore = portrait !== null && best === portrait.quality;
      this.#add({ ...range, lastFrame: before.at(-1)!.frame }, before, isBefore ? portrait : null);
      this.#add({ ...range, firstFrame: after[0]!.frame }, after, isBefore ? null : portrait);
      return;
    }
    const mean = meanOf(looks);
    if (mean) this.#done.push({ tracklet: { ...range, looks, mean }, portrait });
  }

  /** @returns before which look it is somebody else; 0 where it is not */
  #changeIn(looks: readonly GoodLook[]): number {
    let [change, least] = [0, this.#options.thresholds.track];
    for (let i = LOOKS_TO_DECIDE; i + LOOKS_TO_DECIDE <= looks.length; i++) {
      const before = meanOf(looks.slice(i - LOOKS_TO_DECIDE, i));
      const after = meanOf(looks.slice(i, i + LOOKS_TO_DECIDE));
      const alike = before && after ? similarity(before, after) : 0;
      if (alike < least) [change, least] = [i, alike];
    }
    return change;
  }
}

/** Tracks whose faces overlap another's. */
function meeting(faces: readonly Cover[]): Set<number> {
  const met = new Set<number>();
  for (const [i, a] of faces.entries()) {
    for (const b of faces.slice(i + 1)) {
      if (a.track === b.track || iou(a.box, b.box) <= MAX_OVERLAP) continue;
      met.add(a.track);
      met.add(b.track);
    }
  }
  return met;
}
