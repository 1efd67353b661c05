import type { Kysely } from 'kysely';
import { GatewayError } from '../errors.ts';
import type { Tables } from './tables.ts';

/** Valid tokens that one stream may have: whoever may make them can't fill the disk. */
export const MAX_TOKENS_PER_STREAM = 1000;

export interface PlayToken {
  /** SHA-256 of the token, in hex. */
  readonly hash: string;
  readonly streamId: string;
  readonly expiresAt: Date;
}

/** Tokens that open one stream to viewers until they expire, by their hash. */
export class PlayTokenRepository {
  readonly #db: Kysely<Tables>;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /**
   * Expired ones of the same stream are erased on the way.
   * @throws GatewayError 'stream-not-found' | 'too-many'
   */
  async add({ hash, streamId, expiresAt }: PlayToken, now = new Date()): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      // Written though nothing changes: whoever does the same for this stream waits until we are done counting.
      const locked = await db
        .updateTable('streams')
        .set((stream) => ({ updated_at: stream.ref('updated_at') }))
        .where('id', '=', streamId)
        .executeTakeFirst();
      if (locked.numUpdatedRows === 0n) throw new GatewayError('stream-not-found', 'there is no such stream');
      await db.deleteFrom('play_tokens').where('stream_id', '=', streamId).where('expires_at', '<=', now).execute();
      const { count } = await db
        .selectFrom('play_tokens')
        .select((tokens) => tokens.fn.countAll<string | number>().as('count'))
        .where('stream_id', '=', streamId)
        .executeTakeFirstOrThrow();
      if (Number(count) >= MAX_TOKENS_PER_STREAM) {
        const message = `the stream has ${MAX_TOKENS_PER_STREAM} play tokens; wait until some expire`;
        throw new GatewayError('too-many', message, { retryAfterSeconds: 60 });
      }
      const row = { token_hash: hash, stream_id: streamId, expires_at: expiresAt, created_at: now };
      await db.insertInto('play_tokens').values(row).execute();
    });
  }

  /** @returns the stream that the token opens; null where it opens none, or no longer */
  async streamOf(hash: string, now = new Date()): Promise<string | null> {
    const row = await this.#db
      .selectFrom('play_tokens')
      .select('stream_id')
      .where('token_hash', '=', hash)
      .where('expires_at', '>', now)
      .executeTakeFirst();
    return row?.stream_id ?? null;
  }

  /** Erases what has expired. @returns how many that were */
  async sweep(now = new Date()): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('play_tokens')
      .where('expires_at', '<=', now)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}
