import type { ColumnType, JSONColumnType } from 'kysely';
import type { StreamPolicy } from '../live/stream-policy.ts';

/** Written as a Date once, and never changed. */
type Instant = ColumnType<Date, Date, never>;

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

/** What the migrations have made when all of them are done. */
export interface Tables {
  streams: StreamsTable;
  play_tokens: PlayTokensTable;
  identities: IdentitiesTable;
  identity_images: IdentityImagesTable;
  seal_check: SealCheckTable;
}
