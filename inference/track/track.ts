import type { Box, Detection } from './box.ts';
import { BoxFilter } from './kalman.ts';

/** One sighting of a face, in camera-free coordinates: pixels of the picture less the camera's path. */
export interface Sighting extends Box {
  readonly frame: number;
  /** 0..1 */
  readonly score: number;
}

/**
 * What it takes to believe that a track is a face. Each look at it adds the score less the neutral one, be that more or
 * less than nothing; a look that does not find it takes `missCost`. What is believed late is covered backwards.
 */
export interface Belief {
  /** A score that speaks neither for a face nor against one, of a small box and of a large one: a detector is surer of
   * large faces, and covers more of the picture where it errs. */
  readonly neutralScore: number;
  readonly largeNeutralScore: number;
  readonly missCost: number;
  /** The sum from which it is believed, once and for all. */
  readonly enough: number;
  /** One look of this score is enough, whatever those before and after it say: nobody is shown who was seen so well. */
  readonly sureScore: number;
}

/** Looks that a track must have had since it began before it is no longer enough that its score speaks for a face:
 * until then it is unknown, and unknown is covered. Scenes that end sooner never tell. */
const LOOKS_TO_TELL = 2;
/** Sides of a small and of a large box, as parts of the picture's longer side. */
const SMALL = 0.06;
const LARGE = 0.2;
/** A score speaks for a likely face from this much above neutral. */
const LIKELY = 0.05;

/** One face followed through time, within one scene. */
export class Track {
  readonly id: number;
  readonly firstFrame: number;
  /** The first frame of the scene it lives in; it covers nothing before. */
  readonly sceneStart: number;
  /** The first frame after its scene, once that is known; it covers nothing from there on. */
  sceneEnd = Number.POSITIVE_INFINITY;
  /** By frame; the oldest are forgotten. */
  readonly sightings: Sighting[] = [];
  readonly #filter: BoxFilter;
  #filterFrame: number;
  readonly #belief: Belief;
  readonly #pictureSide: number;
  #likely = 0;
  #looks = 0;
  #evidence = 0;
  #believed = false;

  constructor(id: number, frame: number, sceneStart: number, seen: Detection, belief: Belief, pictureSide: number) {
    this.#pictureSide = pictureSide;
    this.id = id;
    this.#belief = belief;
    this.firstFrame = frame;
    this.sceneStart = sceneStart;
    this.#filter = new BoxFilter(seen);
    this.#filterFrame = frame;
    this.#note(frame, seen);
  }

  /** Whether it is a face, as far as its scores tell so far. */
  get believed(): boolean {
    return this.#believed || (this.#likely > 0 && this.#looks < LOOKS_TO_TELL);
  }

  /** How many sightings were likely ones. */
  get likelySightings(): number {
    return this.#likely;
  }

  get last(): Sighting {
    return this.sightings[this.sightings.length - 1]!;
  }

  /** The detector looks once more, whether it sees the face or not. */
  lookedFor(): void {
    this.#looks++;
  }

  /** The detector looked and did not see it. */
  missed(): void {
    this.#evidence = Math.max(0, this.#evidence - this.#belief.missCost);
  }

  /** Where the face should be at `frame`. Frames must not go back. */
  predict(frame: number): Box {
    if (frame > this.#filterFrame) {
      this.#filter.predict(frame - this.#filterFrame);
      this.#filterFrame = frame;
    }
    return this.#filter.box;
  }

  see(frame: number, seen: Detection): void {
    this.predict(frame);
    this.#filter.correct(seen);
    this.#note(frame, seen);
  }

  /** Drops sightings that no frame from `frame` on needs; the latest of them stays, to interpolate from. */
  forgetBefore(frame: number, keep: number): void {
    let drop = 0;
    while (drop + keep < this.sightings.length && this.sightings[drop + keep - 1]!.frame < frame) drop++;
    if (drop > 0) this.sightings.splice(0, drop);
  }

  #note(frame: number, { x, y, w, h, score }: Detection): void {
    this.sightings.push({ frame, x, y, w, h, score });
    const { neutralScore, largeNeutralScore, enough, sureScore } = this.#belief;
    const size = Math.min(1, Math.max(0, (Math.sqrt(w * h) / this.#pictureSide - SMALL) / (LARGE - SMALL)));
    const gain = score - neutralScore - (largeNeutralScore - neutralScore) * size;
    if (gain >= LIKELY) this.#likely++;
    this.#evidence = Math.max(0, this.#evidence + gain);
    if (this.#evidence >= enough || score >= sureScore) this.#believed = true;
  }
}
