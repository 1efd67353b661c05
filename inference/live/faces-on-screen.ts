import type { FaceVerdict } from '../recognise/face-verdict.ts';
import type { Cover } from '../track/coverage.ts';
import type { LiveFace } from './live-engine.ts';

/** Tracks that left the screen are remembered for so many pictures, so that one that comes back keeps its history. */
const REMEMBERED_PICTURES = 90;
/** More faces than this are not told of. */
const MAX_FACES = 200;

const COVERED: FaceVerdict = { visible: false, reason: 'policy', identity: null };

interface Seen {
  firstSeenPts: number;
  score: number;
  at: number;
}

/** The faces of the picture that left last, with what is remembered of each. */
export class FacesOnScreen {
  readonly #known = new Map<number, Seen>();
  #faces: readonly LiveFace[] = [];
  #pictures = 0;
  #told = '[]';

  get faces(): readonly LiveFace[] {
    return this.#faces;
  }

  /** Notes the faces of the picture that leaves, and what was decided about each. */
  update(pts: number, all: readonly Cover[], verdicts: ReadonlyMap<number, FaceVerdict>): void {
    this.#pictures++;
    const faces: LiveFace[] = [];
    const listed = new Set<number>();
    for (const { track, box, score } of all) {
      // A face covered on two paths at once is told of at the likelier place, which comes first.
      if (listed.has(track) || faces.length >= MAX_FACES) continue;
      listed.add(track);
      const seen = this.#note(track, score, pts);
      const { visible, reason, identity } = verdicts.get(track) ?? COVERED;
      faces.push({
        track,
        box: [whole(box.x), whole(box.y), whole(box.w), whole(box.h)],
        score: hundredth(seen.score),
        visible,
        identity: identity && { id: identity.id, similarity: hundredth(identity.similarity) },
        reason,
        firstSeenPts: seen.firstSeenPts,
      });
    }
    this.#faces = faces;
    for (const [track, { at }] of this.#known) {
      if (this.#pictures - at > REMEMBERED_PICTURES) this.#known.delete(track);
    }
  }

  /** @returns the faces where they changed since the last call, else null */
  takeChange(): readonly LiveFace[] | null {
    const text = JSON.stringify(this.#faces);
    if (text === this.#told) return null;
    this.#told = text;
    return this.#faces;
  }

  #note(track: number, score: number | null, pts: number): Seen {
    // What is covered before the detector saw it was not seen: its first sighting is still to come.
    const seen = this.#known.get(track) ?? { firstSeenPts: pts, score: 0, at: 0 };
    if (seen.score === 0) seen.firstSeenPts = pts;
    seen.score = score ?? seen.score;
    seen.at = this.#pictures;
    this.#known.set(track, seen);
    return seen;
  }
}

function hundredth(value: number): number {
  return Math.round(value * 100) / 100;
}

function whole(value: number): number {
  return Math.round(value);
}
