import type { ModelLocations } from '../../models/locations.ts';
import type { InferenceErrorCode } from '../errors.ts';
import type { CodedAudio, CodedVideo } from './coded-media.ts';
import type { EngineStats, LiveEngineOptions, LiveFace, LivePolicy } from './live-engine.ts';

/** What an engine's process needs to know of its options; the models come before. */
export type EngineStart = Omit<LiveEngineOptions, 'models'>;

export type FaceWithThumbnail = LiveFace & { readonly thumbnail: string | null };

/** What the gateway's process tells an engine's. The first is `prepare`, then `start`. */
export type ToEngine =
  | { readonly type: 'prepare'; readonly models: ModelLocations }
  | { readonly type: 'start'; readonly options: EngineStart }
  /** `sentMs` is the sender's monotonic clock, which all processes of a machine share. */
  | { readonly type: 'video'; readonly frame: CodedVideo; readonly sentMs: number }
  | { readonly type: 'audio'; readonly packet: CodedAudio }
  /** Frames are missing between the last one sent and the next. */
  | { readonly type: 'loss' }
  | { readonly type: 'policy'; readonly policy: LivePolicy }
  | { readonly type: 'visible'; readonly request: number; readonly track: number; readonly visible: boolean }
  | { readonly type: 'faces'; readonly request: number }
  | { readonly type: 'keyframe' }
  | { readonly type: 'bitrate'; readonly bitrateBps: number };

/** How many frames and packets an engine has done with, whatever became of them, since it started. */
export interface Taken {
  readonly video: number;
  readonly audio: number;
}

/** What an engine's process tells the gateway's. Coded frames and small messages only. */
export type FromEngine =
  | { readonly type: 'prepared' }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly code: InferenceErrorCode; readonly message: string }
  | { readonly type: 'taken'; readonly taken: Taken }
  | { readonly type: 'video'; readonly frame: CodedVideo; readonly taken: Taken }
  | { readonly type: 'audio'; readonly packet: CodedAudio; readonly taken: Taken }
  | { readonly type: 'keyframe-needed' }
  | { readonly type: 'stats'; readonly stats: EngineStats }
  | { readonly type: 'faces'; readonly faces: readonly LiveFace[] }
  | { readonly type: 'visible-set'; readonly request: number; readonly done: boolean }
  | { readonly type: 'thumbnails'; readonly request: number; readonly faces: readonly FaceWithThumbnail[] };

/** Milliseconds of the clock that `sentMs` is told in. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
