import type { IdentityStore, SealedIdentity } from '../../../gateway/identities/identity-store.ts';

/** As a database keeps people, without one. */
export class MemoryIdentityStore implements IdentityStore {
  readonly rows = new Map<string, SealedIdentity>();
  /** Thrown by the next write. */
  failure: Error | null = null;

  async create(identity: SealedIdentity): Promise<void> {
    await this.#write();
    this.rows.set(identity.id, identity);
  }

  async list(): Promise<SealedIdentity[]> {
    return [...this.rows.values()];
  }

  async thumbnail(id: string, position: number): Promise<Uint8Array | null> {
    return this.rows.get(id)?.images[position]?.sealedThumbnail ?? null;
  }

  async remove(id: string): Promise<void> {
    await this.#write();
    this.rows.delete(id);
  }

  async #write(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }
}
