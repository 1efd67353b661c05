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

/** What the migrations have made when all of them are done. */
export interface Tables {
  streams: StreamsTable;
  play_tokens: PlayTokensTable;
}
