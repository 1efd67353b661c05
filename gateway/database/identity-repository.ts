import type { Kysely } from 'kysely';
import type { IdentityStore, SealedIdentity, SealedImage } from '../identities/identity-store.ts';
import type { Tables } from './tables.ts';

/** Makes sure that nothing of rows that were deleted can be read in the database's files any more. */
export type Scrub = () => Promise<void>;

/** People as they are stored: sealed, but for their id, their photos' quality and the recogniser that saw them. */
export class IdentityRepository implements IdentityStore {
  readonly #db: Kysely<Tables>;
  readonly #scrub: Scrub;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>, scrub: Scrub) {
    this.#db = db;
    this.#scrub = scrub;
  }

  async create({ id, sealedKey, sealedName, model, modelSha256, createdAt, images }: SealedIdentity): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      await db
        .insertInto('identities')
        .values({
          id,
          sealed_key: sealedKey,
          sealed_name: sealedName,
          model,
          model_sha256: modelSha256,
          created_at: createdAt,
        })
        .execute();
      const rows = images.map(({ quality, sealedFace, sealedThumbnail }, position) => ({
        identity_id: id,
        position,
        quality,
        sealed_face: sealedFace,
        sealed_thumbnail: sealedThumbnail,
      }));
      await db.insertInto('identity_images').values(rows).execute();
    });
  }

  async list(): Promise<SealedIdentity[]> {
    const people = await this.#db.selectFrom('identities').selectAll().orderBy('created_at').orderBy('id').execute();
    const rows = await this.#db
      .selectFrom('identity_images')
      .select(['identity_id', 'quality', 'sealed_face'])
      .orderBy('identity_id')
      .orderBy('position')
      .execute();
    const images = Map.groupBy(rows, (row) => row.identity_id);
    return people.map((row) => ({
      id: row.id,
      sealedKey: row.sealed_key,
      sealedName: row.sealed_name,
      model: row.model,
      modelSha256: row.model_sha256,
      createdAt: row.created_at,
      images: (images.get(row.id) ?? []).map(
        ({ quality, sealed_face }): SealedImage => ({ quality, sealedFace: sealed_face, sealedThumbnail: null }),
      ),
    }));
  }

  async thumbnail(id: string, position: number): Promise<Uint8Array | null> {
    const row = await this.#db
      .selectFrom('identity_images')
      .select('sealed_thumbnail')
      .where('identity_id', '=', id)
      .where('position', '=', position)
      .executeTakeFirst();
    return row?.sealed_thumbnail ?? null;
  }

  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom('identities').where('id', '=', id).execute();
    // Also where it was gone: what was left by an erasure that failed half-way is erased by the next.
    await this.#scrub();
  }
}
