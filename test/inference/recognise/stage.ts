import type { PeoplePolicy } from '../../../inference/policy.ts';
import type { FaceVerdict } from '../../../inference/recognise/face-verdict.ts';
import { PeopleOnScreen } from '../../../inference/recognise/people-on-screen.ts';
import { CameraPath } from '../../../inference/track/camera-path.ts';
import { coversAt } from '../../../inference/track/coverage.ts';
import { Tracker } from '../../../inference/track/tracker.ts';
import { PICTURE_SIDE, seen, TRACKER } from '../synthetic-tracks.ts';

export const DIMENSION = 16;
export const RECOGNISER = {
  name: 'scripted',
  dimension: DIMENSION,
  thresholds: { accept: 0.9, track: 0.94, reject: 0.86 },
};

/** A person: the direction in which their embeddings lie. */
export function person(axis: number): Float32Array {
  const embedding = new Float32Array(DIMENSION);
  embedding[axis] = 1;
  return embedding;
}

/** An embedding of this similarity to a person; what it lacks lies on another axis. */
export function like(axis: number, similarity: number, other = DIMENSION - 1): Float32Array {
  const embedding = new Float32Array(DIMENSION);
  embedding[axis] = similarity;
  embedding[other] = Math.sqrt(1 - similarity ** 2);
  return embedding;
}

export function policyOf(mode: PeoplePolicy['mode'], ...axes: number[]): PeoplePolicy {
  return {
    mode,
    recogniser: RECOGNISER.name,
    people: axes.map((axis) => ({ id: `person-${axis}`, embeddings: [person(axis)] })),
  };
}

/** A face as a test places it: pixels of its left edge, and its side. */
export interface Placed {
  readonly x: number;
  readonly side?: number;
}

/** Faces before a camera that stands still: a real tracker, and looks that say what a test says. */
export class Stage {
  readonly people = new PeopleOnScreen();
  readonly #camera = new CameraPath();
  readonly #tracker = new Tracker(TRACKER, this.#camera);
  frame = -1;
  /** By place of the latest frame, the track that is there. */
  tracks: number[] = [];

  constructor(policy: PeoplePolicy | null) {
    this.people.setRecogniser(RECOGNISER);
    this.people.setPolicy(policy);
  }

  /** One more frame that the detector looks at. */
  step(...faces: Placed[]): void {
    this.frame++;
    this.#camera.add(this.frame, 0, 0);
    const detections = faces.map(({ x, side = 60 }) => seen(x, 100, side));
    const found = this.#tracker.update(this.frame, detections, PICTURE_SIDE);
    this.tracks = detections.map((detection) => found.find((face) => face.detection === detection)!.track.id);
    this.people.see(this.frame, found);
  }

  /** A good look at each of the places, in their order; null for none. */
  look(...embeddings: (Float32Array | null)[]): void {
    for (const [i, embedding] of embeddings.entries()) {
      if (embedding) this.people.look(this.tracks[i]!, this.frame, embedding);
    }
  }

  /** So many frames of the same faces, with the same looks at each. */
  watch(frames: number, faces: readonly Placed[], embeddings: readonly (Float32Array | null)[]): void {
    for (let n = 0; n < frames; n++) {
      this.step(...faces);
      this.look(...embeddings);
    }
  }

  /** What becomes of each place in a frame that leaves now. */
  verdicts(frame = this.frame): (FaceVerdict | undefined)[] {
    const limits = { afterFrames: 30, beforeFrames: 15 };
    const covers = this.#tracker.tracksFrom(frame).flatMap((track) => coversAt(track, frame, this.#camera, limits));
    const verdicts = this.people.verdictsOf(covers, frame);
    return this.tracks.map((track) => verdicts.get(track));
  }

  visible(frame = this.frame): boolean[] {
    return this.verdicts(frame).map((verdict) => verdict?.visible ?? false);
  }

  cut(): void {
    this.#tracker.cut(this.frame + 1);
  }
}
