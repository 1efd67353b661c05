import type { Box, Detection } from './box.ts';
import { BoxFilter } from './kalman.ts';

/** One sighting of a face, in camera-free coordinates: pixels of the picture less the camera's path. */
export interface Sighting extends Box {
  readonly frame: number;
  /** 0..1 */
  readonly score: number;
}

/** What it takes to believe that a track is a face. What is believed late is covered backwards. */
export interface Belief {
  /** One sighting of this score is enough. */
  readonly sureScore: number;
  /** Or so many of this score. */
  readonly likelyScore: number;
  readonly likelySightings: number;
}

/** Looks that a track must have had since it began before one likely sighting is no longer enough: until then it is
 * unknown, and unknown is covered. Scenes that end sooner never tell. */
const LOOKS_TO_TELL = 2;

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
  #likely = 0;
  #looks = 0;
  #best = 0;

  constructor(id: number, frame: number, sceneStart: number, seen: Detection, belief: Belief) {
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
    if (this.#best >= this.#belief.sureScore || this.#likely >= this.#belief.likelySightings) return true;
    return this.#likely > 0 && this.#looks < LOOKS_TO_TELL;
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
    if (score >= this.#belief.likelyScore) this.#likely++;
    if (score > this.#best) this.#best = score;
  }
}
