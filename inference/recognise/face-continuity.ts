import { type Box, centreDistance } from '../track/box.ts';
import { meet } from '../track/pins.ts';
import type { SeenFace } from '../track/tracker.ts';

/** A face goes no further than this from one sighting to the next, in sides, and so much more with every frame between. */
const MAX_STEP = 0.35;
const MAX_STEP_A_FRAME = 0.02;
const LONGEST_STEP = 0.6;
/** Nor does it become so many times as large or small. */
const MAX_GROWTH = 1.5;
/** What scores less is seldom another face: a hand, a microphone, a collar. */
const MIN_OTHER_SCORE = 0.4;
/** Tracks that were not seen for so many frames are forgotten. The tracker ends them sooner. */
const REMEMBERED_FRAMES = 150;

interface Followed {
  since: number;
  last: number;
  /** Of the latest sighting. */
  score: number;
}

/**
 * Through which frames a track has surely followed one face: from when it began, was found again, jumped, or met another
 * face, for as long as every detection sees it.
 */
export class FaceContinuity {
  readonly #tracks = new Map<number, Followed>();
  #detected = Number.NEGATIVE_INFINITY;

  /**
   * Takes in what a detection saw. Frames go forward.
   * @returns the tracks that may follow another face from this frame on
   */
  see(frame: number, faces: readonly SeenFace[]): Set<number> {
    const broken = new Set<number>();
    // What is not believed to be a face yet is mostly another look at one that is.
    const others = faces
      .filter(({ track }) => track.believed)
      .map(({ track, detection }) => ({ track: track.id, box: detection }));
    for (const { track, detection } of faces) {
      const known = this.#tracks.get(track.id);
      const before = track.sightings.at(-2);
      const isLost = known && known.last < this.#detected;
      if (!known || isLost || (before && jumps(before, track.last, frame - before.frame))) {
        if (known) broken.add(track.id);
        this.#tracks.set(track.id, { since: frame, last: frame, score: detection.score });
      } else Object.assign(known, { last: frame, score: detection.score });
    }
    for (const { track, detection } of faces) {
      if (!this.mayBeMistaken(track.id, detection, others)) continue;
      // Not in this frame either: which of the two was seen nobody knows.
      this.break(track.id, frame + 1);
      broken.add(track.id);
    }
    this.#detected = frame;
    for (const [id, { last }] of this.#tracks) if (last < frame - REMEMBERED_FRAMES) this.#tracks.delete(id);
    return broken;
  }

  /** Whether a face of a track is so close to one of the others that it may be taken for it. */
  mayBeMistaken(track: number, box: Box, others: readonly { readonly track: number; readonly box: Box }[]): boolean {
    return others.some(
      (other) =>
        other.track !== track && meet(box, other.box) && (this.#tracks.get(other.track)?.score ?? 1) >= MIN_OTHER_SCORE,
    );
  }

  /** From `frame` on the track may follow another face. */
  break(track: number, frame: number): void {
    const known = this.#tracks.get(track);
    if (known) known.since = Math.max(known.since, frame);
  }

  /** From the next frame on every track may follow another face. @returns the tracks */
  breakAll(): number[] {
    for (const id of this.#tracks.keys()) this.break(id, this.next);
    return [...this.#tracks.keys()];
  }

  /** The frame after the latest one that was looked at. */
  get next(): number {
    return this.#detected + 1;
  }

  /** From which frame on the track has surely followed the face that it follows now. */
  since(track: number): number {
    return this.#tracks.get(track)?.since ?? Number.POSITIVE_INFINITY;
  }

  /** Whether it is the face that the track follows now. */
  holds(track: number, frame: number): boolean {
    const known = this.#tracks.get(track);
    return known !== undefined && frame >= known.since && frame <= known.last;
  }

  /** Whether the latest detection saw the track. */
  isSeen(track: number): boolean {
    return this.#tracks.get(track)?.last === this.#detected;
  }

  has(track: number): boolean {
    return this.#tracks.has(track);
  }
}

function jumps(from: Box, to: Box, frames: number): boolean {
  const step = Math.min(LONGEST_STEP, MAX_STEP + MAX_STEP_A_FRAME * (frames - 1));
  const growth = Math.sqrt((to.w * to.h) / (from.w * from.h));
  // Written so that what is no number is a jump.
  return !(centreDistance(from, to) <= step && growth <= MAX_GROWTH && growth >= 1 / MAX_GROWTH);
}
