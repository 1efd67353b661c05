import { createSecretKey } from 'node:crypto';
import { makeDataKey, Vault } from '../secrets/vault.ts';
import type { SealedIdentity } from './identity-store.ts';
import { type KeptFace, packFace, unpackFace } from './sealed-face.ts';

/** A person to keep. */
export interface NewPerson {
  readonly id: string;
  readonly name: string;
  readonly model: string;
  readonly modelSha256: string;
  readonly createdAt: Date;
  readonly photos: readonly (KeptFace & { readonly quality: number; readonly thumbnail: Uint8Array | null })[];
}

/** Seals a person with a key of its own, which is sealed with the gateway's: without that row nothing else opens. */
export function sealPerson(person: NewPerson, master: Vault): SealedIdentity {
  const { id, name, model, modelSha256, createdAt, photos } = person;
  const { vault, bytes } = makeDataKey();
  const sealedKey = master.seal(bytes, contexts.key(id));
  bytes.fill(0);
  return {
    id,
    sealedKey,
    sealedName: vault.seal(Buffer.from(name), contexts.name(id)),
    model,
    modelSha256,
    createdAt,
    images: photos.map((photo, i) => {
      const packed = packFace(photo);
      const sealedFace = vault.seal(packed, contexts.face(id, i));
      packed.fill(0);
      const { thumbnail, quality } = photo;
      return { quality, sealedFace, sealedThumbnail: thumbnail && vault.seal(thumbnail, contexts.thumbnail(id, i)) };
    }),
  };
}

/** What was sealed of a person. Whoever asks for an embedding erases it. */
export class SealedPerson {
  readonly #sealed: SealedIdentity;
  readonly #vault: Vault;

  /** @throws SealError */
  constructor(sealed: SealedIdentity, master: Vault) {
    const bytes = master.open(sealed.sealedKey, contexts.key(sealed.id));
    this.#sealed = sealed;
    this.#vault = new Vault(createSecretKey(bytes));
    bytes.fill(0);
  }

  /** @throws SealError */
  get name(): string {
    const { id, sealedName } = this.#sealed;
    return Buffer.from(this.#vault.open(sealedName, contexts.name(id))).toString();
  }

  /** @throws SealError | RangeError */
  faces(): KeptFace[] {
    const { id, images } = this.#sealed;
    return images.map(({ sealedFace }, i) => {
      const packed = this.#vault.open(sealedFace, contexts.face(id, i));
      const face = unpackFace(packed);
      packed.fill(0);
      return face;
    });
  }

  /** @throws SealError */
  openThumbnail(sealed: Uint8Array, position: number): Uint8Array {
    return this.#vault.open(sealed, contexts.thumbnail(this.#sealed.id, position));
  }
}

/** What each sealed thing is, so that none can be put in another's place. */
const contexts = {
  key: (id: string) => `identity-key:${id}`,
  name: (id: string) => `identity-name:${id}`,
  face: (id: string, position: number) => `identity-face:${id}:${position}`,
  thumbnail: (id: string, position: number) => `identity-thumbnail:${id}:${position}`,
};
