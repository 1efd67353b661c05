import type { Kysely } from 'kysely';

/** Streams with their settings and the hash of their key, and the tokens that open them to viewers. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('streams')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('key_hash', 'text', (column) => column.notNull())
    .addColumn('policy', 'json', (column) => column.notNull())
    .addColumn('record', 'boolean', (column) => column.notNull())
    .addColumn('hls', 'boolean', (column) => column.notNull())
    .addColumn('source', 'text')
    .addColumn('push', 'json', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('streams_in_order').on('streams').columns(['created_at', 'id']).execute();

  await db.schema
    .createTable('play_tokens')
    .addColumn('token_hash', 'text', (column) => column.primaryKey().notNull())
    .addColumn('stream_id', 'text', (column) => column.notNull().references('streams.id').onDelete('cascade'))
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('play_tokens_of_stream').on('play_tokens').column('stream_id').execute();
  await db.schema.createIndex('play_tokens_by_end').on('play_tokens').column('expires_at').execute();
}
