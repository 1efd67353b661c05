import type { Kysely } from 'kysely';

/**
 * People who were enrolled, a row for each of their photos, and the value that tells whether the key is the one that
 * things were sealed with. What says who somebody is, is sealed: the name, embeddings and thumbnails with a key of the
 * identity's own, and that key with the gateway's.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('identities')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('sealed_key', 'bytea', (column) => column.notNull())
    .addColumn('sealed_name', 'bytea', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('model_sha256', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull())
    .execute();

  await db.schema
    .createTable('identity_images')
    .addColumn('identity_id', 'text', (column) => column.notNull().references('identities.id').onDelete('cascade'))
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('quality', 'double precision', (column) => column.notNull())
    .addColumn('sealed_face', 'bytea', (column) => column.notNull())
    .addColumn('sealed_thumbnail', 'bytea')
    .addPrimaryKeyConstraint('identity_images_key', ['identity_id', 'position'])
    .execute();

  await db.schema
    .createTable('seal_check')
    .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
    .addColumn('sealed', 'bytea', (column) => column.notNull())
    .execute();
}
