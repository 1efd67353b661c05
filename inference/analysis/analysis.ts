import type { RecognitionThresholds } from '../recognise/face-embedder.ts';

/** One look at a face that shows well enough who it is. */
export interface GoodLook {
  readonly frame: number;
  /** Of unit length. */
  readonly embedding: Float32Array;
  /** 0..1, more is better. @see qualityOf */
  readonly quality: number;
}

/** Frames of a file from one to another, both of them in it. */
export interface FrameRange {
  readonly firstFrame: number;
  readonly lastFrame: number;
}

/**
 * A part of a track in which it is sure to follow one and the same face: it ends where the face meets another, is lost,
 * jumps or looks like somebody else. Its first and last frame are ones in which the detector saw it.
 */
export interface Tracklet extends FrameRange {
  readonly track: number;
  /** In the order of frames, one at least. */
  readonly looks: readonly GoodLook[];
  /** What all looks say together, of unit length. */
  readonly mean: Float32Array;
}

/** Somebody who appears in a file, told apart from the others as far as that goes. */
export interface Person extends FrameRange {
  /** Counts from 1 in the order of appearance. */
  readonly id: number;
  /** Indices of the person's tracklets, by first frame. */
  readonly tracklets: readonly number[];
  /** When the person is in the picture, in milliseconds from the first frame; an appearance each. */
  readonly ranges: readonly (readonly [startMs: number, endMs: number])[];
  /** A JPEG of the best look, without metadata; null where there are too many people for that. */
  readonly thumbnail: Uint8Array | null;
}

/** What of a file is known once all of it was looked at. Plain data; the embeddings in it are the holder's to erase. */
export interface Analysis {
  /** The faces of each frame: a file that `analyseFile` wrote, without embeddings or pictures, the caller's to remove. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly frames: number;
  readonly durationMs: number;
  /** The models' names in the manifest. */
  readonly detector: string;
  readonly recogniser: string;
  readonly thresholds: RecognitionThresholds;
  /** Those that have a good look, by first frame. All else that is a face belongs to nobody known. */
  readonly tracklets: readonly Tracklet[];
  readonly people: readonly Person[];
}

/** What was decided of a part of a track: whose face it is, where that is known, and whether it may be seen. */
export interface Verdict extends FrameRange {
  readonly track: number;
  /** Name of the person. */
  readonly identity: string | null;
  readonly visible: boolean;
}
