import type { FaceRange } from './face-ranges.ts';

/**
 * `finalising`: it has ended, and is made one file. `partial`: something of it was lost, and what is there is whole.
 * `failed`: nothing of it is there.
 */
export type RecordingState = 'recording' | 'finalising' | 'done' | 'partial' | 'failed';

/** From each state, where it may go. */
export const MOVES: Readonly<Record<RecordingState, readonly RecordingState[]>> = {
  recording: ['finalising', 'failed'],
  finalising: ['done', 'partial', 'failed'],
  done: [],
  partial: [],
  failed: [],
};

export const RECORDING_ID = /^[0-9a-f]{24}$/;

/** What a live stream left behind. */
export interface Recording {
  readonly id: string;
  readonly stream: string;
  readonly state: RecordingState;
  /** Why something of it was lost, or it can't be had as one file: one line for people; null where all is well. */
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** Of its media so far. */
  readonly durationMs: number;
  /** Which of its files are there, beside its segments. */
  readonly files: { readonly mp4: boolean; readonly poster: boolean; readonly timeline: boolean };
}

export type RecordingChanges = Partial<Pick<Recording, 'state' | 'reason' | 'endedAt' | 'files'>>;

/** A segment that the store has. */
export interface StoredSegment {
  /** 1.., in order; one that is missing was lost. */
  readonly number: number;
  /** Which init segment stands before it: another one for another size of picture, or after something was lost. */
  readonly part: number;
  readonly durationMs: number;
  readonly bytes: number;
  /** Times from the segment's start. */
  readonly faces: readonly FaceRange[];
}

/** Where recordings outlive the process. Any of it may fail for a while. */
export interface RecordingRows {
  /** Without effect where it is there already. */
  create(recording: Pick<Recording, 'id' | 'stream' | 'startedAt'>): Promise<unknown>;
  /** Adds to the recording's duration; without effect where it is there already. */
  addSegment(id: string, segment: StoredSegment): Promise<unknown>;
  /** In order. */
  segments(id: string): Promise<readonly StoredSegment[]>;
  /** @returns null where there is none */
  get(id: string): Promise<Recording | null>;
  update(id: string, changes: RecordingChanges): Promise<unknown>;
  remove(id: string): Promise<unknown>;
}

/** Names of a recording's objects, below the prefix of it. */
export const FILES = { mp4: 'recording.mp4', poster: 'poster.jpg', timeline: 'timeline.json' } as const;

export function segmentName({ number }: Pick<StoredSegment, 'number'>): string {
  return `${number}.m4s`;
}

export function initName({ part }: Pick<StoredSegment, 'part'>): string {
  return `init-${part}.mp4`;
}
