import type { ColumnType, JSONColumnType } from 'kysely';
import type { JobError, JobKind, JobPayload, JobState, JobTier } from '../../recorder/jobs/job.ts';
import type { FaceRange } from '../../recorder/recording/face-ranges.ts';
import type { RecordingState } from '../../recorder/recording/recording.ts';
import type { RenderChoice, VideoFacts, VideoState, VideoUpload } from '../../recorder/videos/video.ts';
import type { StreamPolicy } from '../live/stream-policy.ts';

/** Written as a Date once, and never changed. */
type Instant = ColumnType<Date, Date, never>;

type Later = ColumnType<Date, Date, Date>;

export interface StreamsTable {
  id: string;
  /** SHA-256 of the stream's key, in hex. */
  key_hash: string;
  policy: JSONColumnType<StreamPolicy>;
  record: boolean;
  hls: boolean;
  /** As it was given, so perhaps with a password in it: redact it before it is shown, and never log it. */
  source: string | null;
  /** Likewise; by custom an RTMP target ends with its stream key. */
  push: JSONColumnType<string[]>;
  created_at: Instant;
  updated_at: ColumnType<Date, Date, Date>;
}

export interface PlayTokensTable {
  /** SHA-256 of the token, in hex. */
  token_hash: string;
  stream_id: string;
  expires_at: Instant;
  created_at: Instant;
}

export interface IdentitiesTable {
  id: string;
  /** The identity's own key, sealed with the gateway's. */
  sealed_key: Uint8Array;
  /** Sealed with the identity's own key. */
  sealed_name: Uint8Array;
  /** The recogniser that made the embeddings. */
  model: string;
  /** SHA-256 of the recogniser's file, in hex. */
  model_sha256: string;
  created_at: Instant;
}

export interface IdentityImagesTable {
  identity_id: string;
  /** 0.., as the photos were given. */
  position: number;
  quality: number;
  /** The embedding and the photo's hash, sealed with the identity's own key. */
  sealed_face: Uint8Array;
  /** A JPEG, likewise. */
  sealed_thumbnail: Uint8Array | null;
}

export interface SealCheckTable {
  id: number;
  sealed: Uint8Array;
}

export interface JobsTable {
  id: string;
  kind: JobKind;
  tier: JobTier;
  owner: string;
  /** Of one owner, two rows with the same key are one; any number have none. */
  idempotency_key: string | null;
  payload: JSONColumnType<JobPayload>;
  state: JobState;
  stage: string | null;
  /** 0..100 */
  progress: number;
  attempts: number;
  error: JSONColumnType<JobError> | null;
  cancel_requested: boolean;
  /** Grows with each change that is told. */
  revision: number;
  /** A queued one is not begun before. */
  not_before: Later;
  /** Names the attempt that runs; whoever does not show it may not write. */
  lease: string | null;
  /** When the attempt that runs counts as lost, if it is not renewed. */
  lease_until: Later | null;
  /** Whether somebody is to be told that it ended. */
  notify: boolean;
  /** When that is to be tried (again); null: not now. */
  notify_at: ColumnType<Date | null, null, Date | null>;
  notify_tries: number;
  created_at: Instant;
  started_at: Later | null;
  finished_at: Later | null;
}

export interface RecordingsTable {
  id: string;
  stream: string;
  state: RecordingState;
  reason: string | null;
  started_at: Instant;
  ended_at: Later | null;
  duration_ms: number;
  mp4: boolean;
  poster: boolean;
  timeline: boolean;
}

export interface RecordingSegmentsTable {
  recording_id: string;
  number: number;
  part: number;
  duration_ms: number;
  bytes: number;
  /** Tracks and ids of people, and no more of them. */
  faces: JSONColumnType<FaceRange[]>;
}

export interface VideosTable {
  id: string;
  owner: string;
  /** Of one owner, two rows with the same key are one; any number have none. */
  idempotency_key: string | null;
  title: string;
  filename: string;
  /** In bytes. */
  size: number;
  /** As it was declared, in hex. */
  sha256: string | null;
  state: VideoState;
  run: number;
  job: string | null;
  error: JSONColumnType<JobError> | null;
  multipart: JSONColumnType<NonNullable<VideoUpload['multipart']>> | null;
  upload_until: Instant;
  facts: JSONColumnType<VideoFacts> | null;
  /** Of the facts, to find others by. */
  content_sha256: string | null;
  settings: string | null;
  similar_to: JSONColumnType<string[]>;
  choice: JSONColumnType<RenderChoice> | null;
  output: string | null;
  created_at: Instant;
  updated_at: Later;
}

export interface VideoShownFacesTable {
  video_id: string;
  face: number;
}

/** What the migrations have made when all of them are done. */
export interface Tables {
  streams: StreamsTable;
  play_tokens: PlayTokensTable;
  identities: IdentitiesTable;
  identity_images: IdentityImagesTable;
  seal_check: SealCheckTable;
  jobs: JobsTable;
  recordings: RecordingsTable;
  recording_segments: RecordingSegmentsTable;
  videos: VideosTable;
  video_shown_faces: VideoShownFacesTable;
}
