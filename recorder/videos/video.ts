import type { BlurPolicy } from '../../inference/policy.ts';
import type { JobError } from '../jobs/job.ts';

/** What a video is in: the contract's states. */
export const VIDEO_STATES = ['created', 'analysing', 'ready', 'rendering', 'done', 'failed', 'cancelled'] as const;
export type VideoState = (typeof VIDEO_STATES)[number];

/**
 * Allowed moves, `cancelled` also for what is about to be erased. One that failed or was cancelled is rendered again where
 * it was analysed before; one that failed is analysed again only when its dead job is driven again; one for which no job
 * can be had goes back.
 */
export const VIDEO_MOVES: Readonly<Record<VideoState, readonly VideoState[]>> = {
  created: ['analysing', 'failed', 'cancelled'],
  analysing: ['ready', 'failed', 'cancelled', 'created'],
  ready: ['rendering', 'cancelled'],
  rendering: ['done', 'failed', 'cancelled', 'ready'],
  done: ['rendering', 'cancelled'],
  failed: ['analysing', 'rendering', 'cancelled'],
  cancelled: ['rendering'],
};

/** Random, in hex. */
export const VIDEO_ID = /^[0-9a-f]{16}$/;

/** How its bytes come to the store. */
export interface VideoUpload {
  /** Of an upload of parts, the store's id; null where one request brings all. */
  readonly multipart: { readonly id: string; readonly partSize: number } | null;
  readonly expiresAt: Date;
}

/** What the analysis of a video found, but for what says who is in it: that is sealed, and in objects. */
export interface VideoFacts {
  /** Part of the analysis' objects' keys. */
  readonly folder: string;
  /** SHA-256 of the video's bytes, in hex. */
  readonly sha256: string;
  /** Names the models and the rules that the analysis was made by: with others there would be another one. */
  readonly settings: string;
  /** In pixels, upright. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly frames: number;
  readonly durationMs: number;
  /** By its name in the manifest. */
  readonly recogniser: string;
  /** How many people there are, numbered from 1. */
  readonly people: number;
  /** @see fingerprintOf; null where none could be taken */
  readonly fingerprint: string | null;
}

/** Whom a render shows, and how it covers all others. */
export interface RenderChoice {
  readonly mode: 'all' | 'except' | 'only';
  /** Ids of the identities that `mode` is about. */
  readonly identities: readonly string[];
  readonly blur: BlurPolicy;
  /** People of the video who are shown whatever `mode` says of them, unless it is that they are covered. */
  readonly faces: readonly number[];
}

/** An uploaded file and what was made of it. */
export interface Video {
  readonly id: string;
  readonly owner: string;
  readonly title: string;
  /** As the file was called, without folders. */
  readonly filename: string;
  /** In bytes, as it was declared. */
  readonly size: number;
  /** Of its bytes, in hex, as it was declared; null where it was not. */
  readonly sha256: string | null;
  readonly state: VideoState;
  /** Counts what was begun with it: who works for an earlier run has nothing to write any more. */
  readonly run: number;
  /** The job of this run; null before there is one. */
  readonly job: string | null;
  readonly error: JobError | null;
  readonly upload: VideoUpload;
  readonly facts: VideoFacts | null;
  /** Other videos of the owner that show nearly the same. */
  readonly similarTo: readonly string[];
  /** Of the latest render that was asked for. */
  readonly choice: RenderChoice | null;
  /** Part of the keys of what was rendered; null where there is nothing. */
  readonly output: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export type VideoPlace = Pick<Video, 'owner' | 'id'>;

export type VideoChanges = Partial<
  Pick<Video, 'state' | 'run' | 'job' | 'error' | 'facts' | 'similarTo' | 'choice' | 'output'>
>;

/** Which video a change is for: one that is not so any more is left as it is. */
export interface ExpectedVideo {
  readonly run: number;
  readonly states: readonly VideoState[];
}

export interface NewVideo extends Pick<Video, 'id' | 'owner' | 'title' | 'filename' | 'size' | 'sha256' | 'upload'> {
  /** Of one owner, two videos with the same key are one. */
  readonly idempotencyKey: string | null;
  readonly createdAt: Date;
}

/** A row that only tells how a video looks. */
export interface VideoLook {
  readonly id: string;
  readonly fingerprint: string;
  readonly durationMs: number;
}

/** Videos, in rows that several processes share. */
export interface VideoStore {
  /** @returns what is there: `created` is false where the owner had made one with this key before */
  insert(video: NewVideo): Promise<{ readonly video: Video; readonly created: boolean }>;
  get(id: string): Promise<Video | null>;
  count(owner: string): Promise<number>;
  /** @returns null where it is not as expected any more, or may not go on to the state that it is given */
  change(id: string, expected: ExpectedVideo, changes: VideoChanges): Promise<Video | null>;
  /** Another one of the owner with the same bytes that was analysed in the same way. */
  findAnalysed(like: Pick<Video, 'owner' | 'id'>, sha256: string, settings: string): Promise<Video | null>;
  /** The owner's other videos that were analysed, at most `limit`, the newest first. */
  looks(like: Pick<Video, 'owner' | 'id'>, limit: number): Promise<VideoLook[]>;
}
