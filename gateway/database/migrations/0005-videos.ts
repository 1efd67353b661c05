import type { Kysely } from 'kysely';

/** Uploaded videos, and the people of each who are chosen to be shown. What says who somebody is, is in sealed objects. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('videos')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('idempotency_key', 'text')
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('filename', 'text', (column) => column.notNull())
    .addColumn('size', 'double precision', (column) => column.notNull())
    .addColumn('sha256', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('run', 'integer', (column) => column.notNull())
    .addColumn('job', 'text')
    .addColumn('error', 'json')
    .addColumn('multipart', 'json')
    .addColumn('upload_until', 'timestamptz', (column) => column.notNull())
    .addColumn('facts', 'json')
    .addColumn('content_sha256', 'text')
    .addColumn('settings', 'text')
    .addColumn('similar_to', 'json', (column) => column.notNull())
    .addColumn('choice', 'json')
    .addColumn('output', 'text')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('videos_by_key').unique().on('videos').columns(['owner', 'idempotency_key']).execute();
  await db.schema.createIndex('videos_in_order').on('videos').columns(['owner', 'created_at', 'id']).execute();
  await db.schema.createIndex('videos_by_age').on('videos').column('created_at').execute();
  await db.schema.createIndex('videos_by_content').on('videos').columns(['owner', 'content_sha256']).execute();

  await db.schema
    .createTable('video_shown_faces')
    .addColumn('video_id', 'text', (column) => column.notNull().references('videos.id').onDelete('cascade'))
    .addColumn('face', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('video_shown_faces_key', ['video_id', 'face'])
    .execute();
}
