import type { Kysely, Selectable } from 'kysely';
import type { Recording, RecordingChanges, RecordingRows, StoredSegment } from '../../recorder/recording/recording.ts';
import { type Page, readCursor, writeCursor } from '../live/cursor.ts';
import type { RecordingSegmentsTable, RecordingsTable, Tables } from './tables.ts';

/** Recordings, and the segments of each that the store has. */
export class RecordingRepository implements RecordingRows {
  readonly #db: Kysely<Tables>;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async create({ id, stream, startedAt }: Pick<Recording, 'id' | 'stream' | 'startedAt'>): Promise<void> {
    const files = { mp4: false, poster: false, timeline: false };
    const begun = { state: 'recording' as const, reason: null, started_at: startedAt, ended_at: null, duration_ms: 0 };
    await this.#db
      .insertInto('recordings')
      .values({ id, stream, ...begun, ...files })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
  }

  async addSegment(id: string, { number, part, durationMs, bytes, faces }: StoredSegment): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      const added = await db
        .insertInto('recording_segments')
        .values({ recording_id: id, number, part, duration_ms: durationMs, bytes, faces: JSON.stringify(faces) })
        .onConflict((conflict) => conflict.columns(['recording_id', 'number']).doNothing())
        .returning('number')
        .executeTakeFirst();
      if (!added) return;
      await db
        .updateTable('recordings')
        .set((recording) => ({ duration_ms: recording('duration_ms', '+', durationMs) }))
        .where('id', '=', id)
        .execute();
    });
  }

  async segments(id: string): Promise<StoredSegment[]> {
    const rows = await this.#db
      .selectFrom('recording_segments')
      .selectAll()
      .where('recording_id', '=', id)
      .orderBy('number')
      .execute();
    return rows.map(toSegment);
  }

  async get(id: string): Promise<Recording | null> {
    const row = await this.#db.selectFrom('recordings').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? toRecording(row) : null;
  }

  /**
   * In the order in which they began.
   * @param stream null: of all
   * @param cursor a page's `next`
   * @throws GatewayError 'bad-request' for a cursor that is none of ours
   */
  async list(stream: string | null, limit: number, cursor?: string): Promise<Page<Recording>> {
    let query = this.#db
      .selectFrom('recordings')
      .selectAll()
      .orderBy('started_at')
      .orderBy('id')
      .limit(limit + 1);
    if (stream !== null) query = query.where('stream', '=', stream);
    if (cursor !== undefined) {
      const { createdAt, id } = readCursor(cursor);
      query = query.where(({ eb, and, or }) =>
        or([eb('started_at', '>', createdAt), and([eb('started_at', '=', createdAt), eb('id', '>', id)])]),
      );
    }
    const entries = (await query.execute()).map(toRecording);
    const last = entries.length > limit ? entries[limit - 1] : undefined;
    const next = last ? writeCursor({ createdAt: last.startedAt, id: last.id }) : null;
    return { entries: entries.slice(0, limit), next };
  }

  async update(id: string, { state, reason, endedAt, files }: RecordingChanges): Promise<void> {
    const changes = {
      ...(state && { state }),
      ...(reason !== undefined && { reason }),
      ...(endedAt !== undefined && { ended_at: endedAt }),
      ...files,
    };
    await this.#db.updateTable('recordings').set(changes).where('id', '=', id).execute();
  }

  /** Its segments go with it. */
  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom('recordings').where('id', '=', id).execute();
  }
}

function toRecording(row: Selectable<RecordingsTable>): Recording {
  return Object.freeze({
    id: row.id,
    stream: row.stream,
    state: row.state,
    reason: row.reason,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    durationMs: row.duration_ms,
    files: Object.freeze({ mp4: row.mp4, poster: row.poster, timeline: row.timeline }),
  });
}

function toSegment(row: Selectable<RecordingSegmentsTable>): StoredSegment {
  const { number, part, bytes, faces } = row;
  return Object.freeze({ number, part, durationMs: row.duration_ms, bytes, faces: Object.freeze(faces) });
}
