import { associate, type Gate } from './association.ts';
import { type Box, type Detection, shift } from './box.ts';
import type { CameraPath } from './camera-path.ts';
import { type Belief, Track } from './track.ts';

export interface TrackerOptions {
  /** Detections from this score on are matched first. */
  readonly highScore: number;
  /** A detection that matches nothing starts a track from this score on. */
  readonly birthScore: number;
  readonly belief: Belief;
  /** A believed track that is not seen for longer ends. */
  readonly maxLostFrames: number;
}

/** A track that is not believed yet ends after this many detections without it. */
const MAX_MISSES_BEFORE_BELIEF = 3;
/** More tracks than this at a time are not followed; their faces are covered where they are seen. */
const MAX_TRACKS = 1000;
/** Sightings kept behind the window: enough to tell a velocity. */
const SIGHTINGS_KEPT = 4;

/** A face that the detector saw, and the track it belongs to. */
export interface SeenFace {
  readonly track: Track;
  /** In pixels of the picture, with its landmarks where the detector gives them. */
  readonly detection: Detection;
}

interface Alive {
  readonly track: Track;
  /** Detections in a row that did not find it. */
  misses: number;
}

/**
 * Follows faces from detection to detection in the manner of ByteTrack: sure detections are matched first, then what
 * is left of the tracks takes the unsure ones, which on their own would start nothing.
 * @see ByteTrack, Zhang et al. 2022
 */
export class Tracker {
  readonly #options: TrackerOptions;
  readonly #camera: CameraPath;
  #alive: Alive[] = [];
  #ended: Track[] = [];
  #nextId = 1;
  #sceneStart = 0;
  #lastFrame = 0;

  constructor(options: TrackerOptions, camera: CameraPath) {
    this.#options = options;
    this.#camera = camera;
  }

  /**
   * Takes in what a detector saw in `frame`, in pixels of the picture. Frames must go forward.
   * @param pictureSide the longer side of the picture
   * @returns which track each detection belongs to; one that belongs to none is left out
   */
  update(frame: number, detections: readonly Detection[], pictureSide: number): SeenFace[] {
    const elapsed = Math.max(1, frame - this.#lastFrame);
    this.#lastFrame = frame;
    const { x, y } = this.#camera.at(frame);
    const { highScore, birthScore, belief, maxLostFrames } = this.#options;
    const toStill = (d: Detection): Detection => ({ ...shift(d, -x, -y), score: d.score });
    const free = new Map(detections.map((d) => [toStill(d), d] as const));
    const seen: SeenFace[] = [];
    const unseen = new Set(this.#alive);
    for (const { track } of this.#alive) track.lookedFor();

    const match = (tracks: readonly Alive[], from: number, gate: (since: number) => Gate): void => {
      const candidates = [...free.keys()].filter(({ score }) => score >= from);
      const predicted: Box[] = tracks.map(({ track }) => track.predict(frame));
      for (const [t, d] of associate(predicted, candidates, (i) => gate(frame - tracks[i]!.track.last.frame))) {
        const entry = tracks[t]!;
        entry.track.see(frame, candidates[d]!);
        seen.push({ track: entry.track, detection: free.get(candidates[d]!)! });
        entry.misses = 0;
        free.delete(candidates[d]!);
        unseen.delete(entry);
      }
    };
    const remaining = (believed: boolean) => [...unseen].filter(({ track }) => track.believed === believed);
    // The longer a face is out of sight, the further it may have gone.
    const wide = (since: number): Gate => ({
      minIou: 0.1,
      maxDistance: Math.min(1.5, 0.6 + 0.08 * Math.max(since, elapsed)),
    });
    const narrow = (since: number): Gate => ({
      minIou: 0.2,
      maxDistance: Math.min(0.8, 0.3 + 0.05 * Math.max(since, elapsed)),
    });
    match(remaining(true), highScore, wide);
    match(remaining(true), 0, narrow);
    match(remaining(false), 0, narrow);

    for (const entry of unseen) {
      entry.misses++;
      const { track } = entry;
      track.missed();
      const over = track.believed ? frame - track.last.frame > maxLostFrames : entry.misses >= MAX_MISSES_BEFORE_BELIEF;
      if (over) this.#end(track);
      else unseen.delete(entry);
    }
    this.#alive = this.#alive.filter((entry) => !unseen.has(entry));
    for (const [box, detection] of free) {
      if (box.score < birthScore || this.#alive.length >= MAX_TRACKS) continue;
      const track = new Track(this.#nextId++, frame, this.#sceneStart, box, belief, pictureSide);
      this.#alive.push({ track, misses: 0 });
      seen.push({ track, detection });
    }
    return seen;
  }

  /** A new scene starts with `frame`: nobody in it is who was there before. */
  cut(frame: number): void {
    for (const { track } of this.#alive) {
      track.sceneEnd = frame;
      this.#end(track);
    }
    this.#alive = [];
    this.#sceneStart = frame;
  }

  /** All believed tracks that may cover a frame from `oldest` on; others are forgotten. */
  tracksFrom(oldest: number): Track[] {
    const { maxLostFrames } = this.#options;
    this.#ended = this.#ended.filter((track) => track.last.frame + maxLostFrames >= oldest && track.sceneEnd > oldest);
    const tracks = [...this.#ended, ...this.#alive.map(({ track }) => track)];
    for (const track of tracks) track.forgetBefore(oldest, SIGHTINGS_KEPT);
    return tracks.filter(({ believed }) => believed);
  }

  /** Whether a believed face of this id is being followed. */
  isAlive(id: number): boolean {
    return this.#alive.some(({ track }) => track.id === id && track.believed);
  }

  #end(track: Track): void {
    if (track.believed) this.#ended.push(track);
  }
}
