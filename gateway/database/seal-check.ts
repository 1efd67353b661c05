import type { Kysely } from 'kysely';
import type { SealCheckStore } from '../secrets/open-vault.ts';
import type { Tables } from './tables.ts';

const ONLY = 1;

/** The one value that tells whether a key is the one that what is kept here was sealed with. */
export class SealCheck implements SealCheckStore {
  readonly #db: Kysely<Tables>;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async read(): Promise<Uint8Array | null> {
    const row = await this.#db.selectFrom('seal_check').select('sealed').where('id', '=', ONLY).executeTakeFirst();
    return row?.sealed ?? null;
  }

  async write(sealed: Uint8Array): Promise<void> {
    await this.#db
      .insertInto('seal_check')
      .values({ id: ONLY, sealed })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
  }
}
