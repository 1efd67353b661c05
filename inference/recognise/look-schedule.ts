/** A face that could be looked at now. */
export interface LookCandidate {
  readonly track: number;
  /** Looks that counted since it was last sure whose face the track follows. */
  readonly goodLooks: number;
  /** What a look now promises, 0..1, as `promiseOf` tells from the detection; 0 for a look that would not count. */
  readonly promise: number;
}

export interface LookScheduleOptions {
  /** The first looks at a face are so many frames apart: two frames in a row say the same thing twice. */
  readonly apartFrames: number;
  /** And later ones so many. */
  readonly everyFrames: number;
}

/** So many good looks are wanted soon. */
export const LOOKS_TO_DECIDE = 3;
/** A look is taken before its time where it promises so many times what the best one did. */
const GAIN = 1.3;
/** More faces than this at a time are not looked at. */
const MAX_TRACKS = 1000;
/** A face that was no candidate for so many periods is forgotten. */
const REMEMBERED_PERIODS = 6;

interface Looked {
  /** Frame of the last look; none yet for a face that was only seen. */
  at: number;
  best: number;
  /** Looks in a row that did not count. */
  refused: number;
  candidateAt: number;
}

/**
 * Which face of a frame is looked at: a new one soon, then one that shows better than before, or was not looked at for
 * long. Looks cost far more than anything else that is done for a face, so there is one a frame at most.
 */
export class LookSchedule {
  readonly #options: LookScheduleOptions;
  readonly #tracks = new Map<number, Looked>();

  constructor(options: LookScheduleOptions) {
    this.#options = options;
  }

  /** @returns the face to look at in this frame, of those that are due the one that waits longest; null where none is */
  choose<T extends LookCandidate>(frame: number, candidates: readonly T[]): T | null {
    this.#forget(frame);
    let chosen: T | null = null;
    let longest = 1;
    for (const candidate of candidates) {
      if (!(candidate.promise > 0)) continue;
      const waited = this.#waited(frame, candidate);
      const isLonger = waited > longest || (waited === longest && candidate.promise > (chosen?.promise ?? 0));
      if (isLonger) [chosen, longest] = [candidate, waited];
    }
    return chosen;
  }

  /** Notes that a face was looked at, and whether the look counted. */
  looked(frame: number, { track, promise }: LookCandidate, counted: boolean): void {
    const known = this.#tracks.get(track);
    if (!known) return;
    known.at = frame;
    known.refused = counted ? 0 : known.refused + 1;
    if (counted) known.best = Math.max(known.best, promise);
  }

  /** How many times as long as it should a face has waited. */
  #waited(frame: number, { track, goodLooks, promise }: LookCandidate): number {
    const known = this.#tracks.get(track);
    if (!known) {
      if (this.#tracks.size >= MAX_TRACKS) return 0;
      this.#tracks.set(track, { at: Number.NEGATIVE_INFINITY, best: 0, refused: 0, candidateAt: frame });
      return Number.POSITIVE_INFINITY;
    }
    known.candidateAt = frame;
    if (goodLooks === 0) known.best = 0;
    const { apartFrames, everyFrames } = this.#options;
    const gains = goodLooks > 0 && promise >= GAIN * known.best;
    const period = goodLooks < LOOKS_TO_DECIDE || gains ? apartFrames : everyFrames;
    // One that shows nothing is tried again later and later.
    return (frame - known.at) / Math.min(everyFrames, period * 2 ** known.refused);
  }

  #forget(frame: number): void {
    const limit = frame - REMEMBERED_PERIODS * this.#options.everyFrames;
    for (const [track, { candidateAt }] of this.#tracks) if (candidateAt < limit) this.#tracks.delete(track);
  }
}
