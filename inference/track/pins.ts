import { type Box, iou } from './box.ts';
import type { Cover } from './coverage.ts';

/** Past this overlap of two faces nobody can tell by their places alone which is which. */
const MAX_OVERLAP = 0.15;

/** Whether two faces are so close that nobody can tell by their places alone which is which. */
export function meet(a: Box, b: Box): boolean {
  return iou(a, b) > MAX_OVERLAP;
}

/** A face that the detector has not seen for so many frames (it looks at every fifteenth at least) may be another's. */
const MAX_UNSEEN_FRAMES = 20;

/**
 * Which tracks someone asked to see. A pin holds only while it is sure whose face the track follows: it goes when the
 * face meets another one, or was out of sight. What is not sure is covered.
 */
export class Pins {
  /** By track: the latest frame in which the detector saw it. */
  readonly #pinned = new Map<number, number>();

  set(track: number, visible: boolean): void {
    if (visible) this.#pinned.set(track, Number.POSITIVE_INFINITY);
    else this.#pinned.delete(track);
  }

  /** The faces of one frame that may be seen. Frames must go forward. */
  shownOf(faces: readonly Cover[], frame: number): readonly Cover[] {
    if (this.#pinned.size === 0) return [];
    for (const [track, seen] of this.#pinned) {
      const own = faces.filter((face) => face.track === track);
      const isSeen = own.some(({ score }) => score !== null);
      // Until it is seen for the first time after it was pinned, time counts from now.
      const last = isSeen || seen === Number.POSITIVE_INFINITY ? frame : seen;
      const meets = faces.some((other) => other.track !== track && own.some(({ box }) => meet(box, other.box)));
      if (meets || own.length === 0 || frame - last > MAX_UNSEEN_FRAMES) this.#pinned.delete(track);
      else this.#pinned.set(track, last);
    }
    return faces.filter(({ track }) => this.#pinned.has(track));
  }
}
