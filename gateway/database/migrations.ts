import type { Migration } from 'kysely/migration';
import * as streams from './migrations/0001-streams.ts';
import * as identities from './migrations/0002-identities.ts';
import * as jobs from './migrations/0003-jobs.ts';
import * as recordings from './migrations/0004-recordings.ts';
import * as videos from './migrations/0005-videos.ts';

/**
 * Every change of the schema, by name, in the order of the names. The same for SQLite and PostgreSQL: column types are
 * the ones that both have and `sqlite-dialect.ts` converts. One that was released is never changed; another follows.
 */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-streams': streams,
  '0002-identities': identities,
  '0003-jobs': jobs,
  '0004-recordings': recordings,
  '0005-videos': videos,
};
