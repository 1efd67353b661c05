import type { ModelLocations } from '../../models/locations.ts';
import type { Redacted } from '../blur/redacted.ts';
import type { InferenceError } from '../errors.ts';
import type { BlurPolicy, PeoplePolicy } from '../policy.ts';
import type { FaceReason } from '../recognise/face-verdict.ts';
import type { AudioFormat, CodedAudio, CodedVideo, VideoCodec } from './coded-media.ts';

/** How a live stream is blurred. */
export interface LivePolicy extends BlurPolicy {
  /** Frames held back so that detections bracket them: 0..15. */
  readonly lookaheadFrames: number;
  /** Who may be seen; absent: nobody. An engine keeps copies of embeddings, and erases those of people who are listed no more. */
  readonly people?: PeoplePolicy;
}

export interface LiveEngineOptions {
  readonly input: VideoCodec;
  readonly output: VideoCodec;
  readonly policy: LivePolicy;
  /** What the encoder aims at first. */
  readonly bitrateBps: number;
  /** Longest time between keyframes, or null for only where one is asked for. */
  readonly keyframeIntervalMs: number | null;
  /** The source's sound where it must be transcoded to Opus (AAC); null where it does not pass through the engine. */
  readonly audio: Extract<AudioFormat, { codec: 'aac' }> | null;
  readonly models: ModelLocations;
}

/** One face on screen now. */
export interface LiveFace {
  readonly track: number;
  /** x, y, w, h in pixels of the picture. */
  readonly box: readonly [number, number, number, number];
  /** The detector's latest, 0..1. */
  readonly score: number;
  readonly visible: boolean;
  /** The person it was told to be, and how alike they are, 0..1. */
  readonly identity: { readonly id: string; readonly similarity: number } | null;
  /** Why it is covered or not. */
  readonly reason: FaceReason;
  /** Of the picture in which it was first seen. */
  readonly firstSeenPts: number;
}

/** Why a frame that came in never left. */
export type DropReason = 'queue-full' | 'waiting-for-keyframe' | 'undecodable' | 'encoder-failed';

/** Totals since the engine started, but for the rates, which are of the last second. */
export interface EngineStats {
  readonly width: number;
  readonly height: number;
  readonly fps: { readonly in: number; readonly out: number };
  readonly frames: {
    readonly in: number;
    readonly out: number;
    readonly detected: number;
    readonly bracketed: number;
    /** Covered whole. */
    readonly covered: number;
    readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  };
  /** On screen now. */
  readonly faces: number;
  /** Detection runs on every so many-th frame now. */
  readonly detectEveryFrames: number;
  readonly detector: string;
  readonly recognition: RecognitionStats;
  /** Median time of a frame of the last second in each stage, in ms; null where none passed. */
  readonly stageMs: Readonly<Record<EngineStage, number | null>>;
}

/** What there is to tell of recognition; it begins once people are listed, or a face is pinned. */
export interface RecognitionStats {
  /** The recogniser's name in the manifest; null until it is loaded. */
  readonly recogniser: string | null;
  /** Faces embedded a second, of the last second. */
  readonly embeddingsPerSecond: number;
  /** Looks that failed, in all. */
  readonly failures: number;
  /** Why nobody is shown though somebody should be, one line; null where nothing is wrong. */
  readonly problem: string | null;
}

/**
 * `wait` is from when a frame was handed to the engine until the decoder took it; `detect` is of frames looked at, with
 * the scene watched meanwhile; `blur` is tracking and covering.
 */
export type EngineStage = 'wait' | 'decode' | 'detect' | 'blur' | 'encode';

/** What an engine tells; called on the gateway's main thread. */
export interface LiveEngineHooks {
  /** A picture that may leave. Its `pts` is that of the frame it was made from. */
  onVideo(frame: Redacted<CodedVideo>): void;
  /** An Opus packet made from the AAC that came in. */
  onAudio(packet: CodedAudio): void;
  /** Nothing more can be decoded until a keyframe comes. */
  onKeyframeNeeded(): void;
  /** Once a second. */
  onStats(stats: EngineStats): void;
  /** At most ten times a second, when what is on screen changed. */
  onFaces(faces: readonly LiveFace[]): void;
  /** It ended: by `close` (null), or because its process died, hung or could not start. Called once, and last. */
  onClosed(reason: InferenceError | null): void;
}

/**
 * One live stream's decode → detect → track → blur → encode, in a forked process of its own.
 * Never throws after `create`; what goes wrong ends in `onClosed`.
 */
export interface LiveEngine {
  /** Takes the frame's data over. In decode order; never blocks: what the bounded queue can't hold is dropped. */
  pushVideo(frame: CodedVideo): void;
  /** AAC frames for transcoding. */
  pushAudio(packet: CodedAudio): void;
  /** Packets of the source were lost: nothing decodes until the next keyframe. */
  markLoss(): void;
  /** From the next frame on. */
  setPolicy(policy: LivePolicy): void;
  /**
   * Shows or covers the person whose face a track is, for as long as the engine lives; until looks have told who that is,
   * the face for as long as it is sure to be the same. Resolves to false where there is no such track.
   */
  setVisible(track: number, visible: boolean): Promise<boolean>;
  /** The next picture that leaves is a keyframe. */
  requestKeyframe(): void;
  setBitrate(bitrateBps: number): void;
  /** The faces of the latest picture, each with a small JPEG as a data: URL, or null where none could be cut. */
  faces(): Promise<readonly (LiveFace & { readonly thumbnail: string | null })[]>;
  /** The child's process id, for drills and memory measurement. */
  readonly pid: number;
  close(): Promise<void>;
}
