import type { Kysely, Selectable } from 'kysely';
import {
  type ExpectedVideo,
  type NewVideo,
  VIDEO_MOVES,
  type Video,
  type VideoChanges,
  type VideoLook,
  type VideoPlace,
  type VideoStore,
} from '../../recorder/videos/video.ts';
import { type Page, readCursor, writeCursor } from '../live/cursor.ts';
import type { Scrub } from './identity-repository.ts';
import type { Tables, VideosTable } from './tables.ts';

/** Faces in one statement. */
const MAX_ROWS = 500;
const ENDED = ['done', 'failed', 'cancelled', 'dead'] as const;

/** Which videos are past their time. */
export interface ExpiredVideos {
  /** Those made before; null: none for their age. */
  readonly madeBefore: Date | null;
  /** And those that could be uploaded until then, and never were. */
  readonly uploadableUntil: Date;
  readonly limit: number;
}

/** Uploaded videos as they are stored, and who of each is chosen to be shown. */
export class VideoRepository implements VideoStore {
  readonly #db: Kysely<Tables>;
  readonly #scrub: Scrub | null;

  /**
   * @param db borrowed
   * @param scrub null where the database sees to that itself
   */
  constructor(db: Kysely<Tables>, scrub: Scrub | null) {
    this.#db = db;
    this.#scrub = scrub;
  }

  async insert(video: NewVideo): Promise<{ video: Video; created: boolean }> {
    const { multipart, expiresAt } = video.upload;
    const made = await this.#db
      .insertInto('videos')
      .values({
        id: video.id,
        owner: video.owner,
        idempotency_key: video.idempotencyKey,
        title: video.title,
        filename: video.filename,
        size: video.size,
        sha256: video.sha256,
        state: 'created',
        run: 0,
        multipart: multipart && JSON.stringify(multipart),
        upload_until: expiresAt,
        similar_to: '[]',
        created_at: video.createdAt,
        updated_at: video.createdAt,
      })
      .onConflict((conflict) => conflict.columns(['owner', 'idempotency_key']).doNothing())
      .returningAll()
      .executeTakeFirst();
    if (made) return { video: toVideo(made), created: true };
    const there = await this.#db
      .selectFrom('videos')
      .selectAll()
      .where('owner', '=', video.owner)
      .where('idempotency_key', '=', video.idempotencyKey)
      .executeTakeFirstOrThrow();
    return { video: toVideo(there), created: false };
  }

  /** The one that the owner made with this key; null where there is none. */
  async byKey(owner: string, idempotencyKey: string): Promise<Video | null> {
    const row = await this.#db
      .selectFrom('videos')
      .selectAll()
      .where('owner', '=', owner)
      .where('idempotency_key', '=', idempotencyKey)
      .executeTakeFirst();
    return row ? toVideo(row) : null;
  }

  async get(id: string): Promise<Video | null> {
    const row = await this.#db.selectFrom('videos').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? toVideo(row) : null;
  }

  async count(owner: string): Promise<number> {
    const { count } = await this.#db
      .selectFrom('videos')
      .select((videos) => videos.fn.countAll().as('count'))
      .where('owner', '=', owner)
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /**
   * In the order in which they were made.
   * @param cursor a page's `next`
   * @throws GatewayError 'bad-request' for a cursor that is none of ours
   */
  async list(owner: string, limit: number, cursor?: string): Promise<Page<Video>> {
    let query = this.#db
      .selectFrom('videos')
      .selectAll()
      .where('owner', '=', owner)
      .orderBy('created_at')
      .orderBy('id')
      .limit(limit + 1);
    if (cursor !== undefined) {
      const { createdAt, id } = readCursor(cursor);
      query = query.where(({ eb, and, or }) =>
        or([eb('created_at', '>', createdAt), and([eb('created_at', '=', createdAt), eb('id', '>', id)])]),
      );
    }
    const entries = (await query.execute()).map(toVideo);
    const last = entries.length > limit ? entries[limit - 1] : undefined;
    return { entries: entries.slice(0, limit), next: last ? writeCursor(last) : null };
  }

  async change(id: string, { run, states }: ExpectedVideo, changes: VideoChanges): Promise<Video | null> {
    const { state, job, error, facts, similarTo, choice, output } = changes;
    const from = states.filter((one) => state === undefined || one === state || VIDEO_MOVES[one].includes(state));
    if (from.length === 0) return null;
    const row = await this.#db
      .updateTable('videos')
      .set({
        ...(state !== undefined && { state }),
        ...(changes.run !== undefined && { run: changes.run }),
        ...(job !== undefined && { job }),
        ...(error !== undefined && { error: error && JSON.stringify(error) }),
        ...(facts !== undefined && {
          facts: facts && JSON.stringify(facts),
          content_sha256: facts?.sha256 ?? null,
          settings: facts?.settings ?? null,
        }),
        ...(similarTo !== undefined && { similar_to: JSON.stringify(similarTo) }),
        ...(choice !== undefined && { choice: choice && JSON.stringify(choice) }),
        ...(output !== undefined && { output }),
        updated_at: new Date(),
      })
      .where('id', '=', id)
      .where('run', '=', run)
      .where('state', 'in', from)
      .returningAll()
      .executeTakeFirst();
    return row ? toVideo(row) : null;
  }

  async findAnalysed({ owner, id }: VideoPlace, sha256: string, settings: string): Promise<Video | null> {
    const row = await this.#db
      .selectFrom('videos')
      .selectAll()
      .where('owner', '=', owner)
      .where('content_sha256', '=', sha256)
      .where('settings', '=', settings)
      .where('id', '!=', id)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ? toVideo(row) : null;
  }

  async looks({ owner, id }: VideoPlace, limit: number): Promise<VideoLook[]> {
    const rows = await this.#db
      .selectFrom('videos')
      .select(['id', 'facts'])
      .where('owner', '=', owner)
      .where('id', '!=', id)
      .where('facts', 'is not', null)
      .orderBy('created_at', 'desc')
      .limit(limit)
      .execute();
    return rows.flatMap(({ id: other, facts }) => {
      if (!facts?.fingerprint) return [];
      return [{ id: other, fingerprint: facts.fingerprint, durationMs: facts.durationMs }];
    });
  }

  /** Those of `ids` that are there, in any order. */
  async existing(ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.#db.selectFrom('videos').select('id').where('id', 'in', ids).execute();
    return rows.map(({ id }) => id);
  }

  /** The people of a video who are to be seen. */
  async shown(id: string): Promise<Set<number>> {
    const rows = await this.#db.selectFrom('video_shown_faces').select('face').where('video_id', '=', id).execute();
    return new Set(rows.map(({ face }) => face));
  }

  /** Shows people of a video, or hides them. */
  async show(id: string, faces: readonly number[], visible: boolean): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      for (let from = 0; from < faces.length; from += MAX_ROWS) {
        const part = faces.slice(from, from + MAX_ROWS);
        if (visible) {
          const rows = part.map((face) => ({ video_id: id, face }));
          const insert = db.insertInto('video_shown_faces').values(rows);
          await insert.onConflict((conflict) => conflict.columns(['video_id', 'face']).doNothing()).execute();
        } else {
          await db.deleteFrom('video_shown_faces').where('video_id', '=', id).where('face', 'in', part).execute();
        }
      }
    });
  }

  async expired({ madeBefore, uploadableUntil, limit }: ExpiredVideos): Promise<Video[]> {
    const rows = await this.#db
      .selectFrom('videos')
      .selectAll()
      .where(({ eb, and, or }) =>
        or([
          and([eb('state', '=', 'created'), eb('upload_until', '<', uploadableUntil)]),
          ...(madeBefore ? [eb('created_at', '<', madeBefore)] : []),
        ]),
      )
      .orderBy('created_at')
      .limit(limit)
      .execute();
    return rows.map(toVideo);
  }

  /** Erases a video with the rows of its jobs that have ended, so that nothing of them is left in the store's files. */
  async remove(id: string): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      await db.deleteFrom('videos').where('id', '=', id).execute();
      const jobs = db.deleteFrom('jobs').where('idempotency_key', 'like', `video:${id}:%`);
      await jobs.where('state', 'in', ENDED).execute();
    });
    await this.#scrub?.();
  }
}

function toVideo(row: Selectable<VideosTable>): Video {
  return Object.freeze({
    id: row.id,
    owner: row.owner,
    title: row.title,
    filename: row.filename,
    size: row.size,
    sha256: row.sha256,
    state: row.state,
    run: row.run,
    job: row.job,
    error: row.error,
    upload: { multipart: row.multipart, expiresAt: row.upload_until },
    facts: row.facts,
    similarTo: row.similar_to,
    choice: row.choice,
    output: row.output,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}
