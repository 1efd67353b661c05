import type { Cover } from '../track/coverage.ts';
import type { LiveFace } from './live-engine.ts';

/** Tracks that left the screen are remembered for so many pictures, so that one that comes back keeps its history. */
const REMEMBERED_PICTURES = 90;
/** More faces than this are not told of. */
const MAX_FACES = 200;

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

  /** Notes what was covered and what was shown in the picture that leaves. */
  update(pts: number, covers: readonly Cover[], shown: readonly Cover[]): void {
    this.#pictures++;
    const faces: LiveFace[] = [];
    const listed = new Set<number>();
    for (const [group, visible] of [
      [covers, false],
      [shown, true],
    ] as const) {
      for (const { track, box, score } of group) {
        // A face covered on two paths at once is told of at the likelier place, which comes first.
        if (listed.has(track) || faces.length >= MAX_FACES) continue;
        listed.add(track);
        const seen = this.#note(track, score, pts);
        faces.push({
          track,
          box: [whole(box.x), whole(box.y), whole(box.w), whole(box.h)],
          score: Math.round(seen.score * 100) / 100,
          visible,
          identity: null,
          reason: visible ? 'pinned' : 'policy',
          firstSeenPts: seen.firstSeenPts,
        });
      }
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

function whole(value: number): number {
  return Math.round(value);
}
