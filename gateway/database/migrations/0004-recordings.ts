import type { Kysely } from 'kysely';

/** What live streams left behind, and the segments of it that the store has. A recording outlives its stream. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('recordings')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('stream', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('reason', 'text')
    .addColumn('started_at', 'timestamptz', (column) => column.notNull())
    .addColumn('ended_at', 'timestamptz')
    .addColumn('duration_ms', 'double precision', (column) => column.notNull())
    .addColumn('mp4', 'boolean', (column) => column.notNull())
    .addColumn('poster', 'boolean', (column) => column.notNull())
    .addColumn('timeline', 'boolean', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('recordings_in_order').on('recordings').columns(['started_at', 'id']).execute();
  await db.schema
    .createIndex('recordings_of_stream')
    .on('recordings')
    .columns(['stream', 'started_at', 'id'])
    .execute();

  await db.schema
    .createTable('recording_segments')
    .addColumn('recording_id', 'text', (column) => column.notNull().references('recordings.id').onDelete('cascade'))
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('part', 'integer', (column) => column.notNull())
    .addColumn('duration_ms', 'double precision', (column) => column.notNull())
    .addColumn('bytes', 'integer', (column) => column.notNull())
    .addColumn('faces', 'json', (column) => column.notNull())
    .addPrimaryKeyConstraint('recording_segments_key', ['recording_id', 'number'])
    .execute();
}
