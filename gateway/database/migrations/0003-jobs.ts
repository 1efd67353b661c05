import type { Kysely } from 'kysely';

/** Queued file work. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('jobs')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('tier', 'text', (column) => column.notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('idempotency_key', 'text')
    .addColumn('payload', 'json', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('stage', 'text')
    .addColumn('progress', 'double precision', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('error', 'json')
    .addColumn('cancel_requested', 'boolean', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull())
    .addColumn('not_before', 'timestamptz', (column) => column.notNull())
    .addColumn('lease', 'text')
    .addColumn('lease_until', 'timestamptz')
    .addColumn('notify', 'boolean', (column) => column.notNull())
    .addColumn('notify_at', 'timestamptz')
    .addColumn('notify_tries', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull())
    .addColumn('started_at', 'timestamptz')
    .addColumn('finished_at', 'timestamptz')
    .execute();
  await db.schema.createIndex('jobs_by_key').unique().on('jobs').columns(['owner', 'idempotency_key']).execute();
  await db.schema.createIndex('jobs_in_order').on('jobs').columns(['state', 'tier', 'not_before', 'id']).execute();
  await db.schema.createIndex('jobs_by_lease').on('jobs').columns(['state', 'lease_until']).execute();
  await db.schema.createIndex('jobs_by_end').on('jobs').columns(['state', 'finished_at']).execute();
  await db.schema.createIndex('jobs_to_notify').on('jobs').column('notify_at').execute();
}
