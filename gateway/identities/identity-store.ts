/** One photo of a person, as it is stored. */
export interface SealedImage {
  /** 0..1, more is better. */
  readonly quality: number;
  /** What `packFace` makes. */
  readonly sealedFace: Uint8Array;
  /** A small JPEG; null where there is none, and in lists. */
  readonly sealedThumbnail: Uint8Array | null;
}

/** A person as stored: what says who it is can be read with the identity's own key alone, which is sealed too. */
export interface SealedIdentity {
  readonly id: string;
  readonly sealedKey: Uint8Array;
  readonly sealedName: Uint8Array;
  /** The recogniser that the embeddings are of: its name in the manifest, and of its file the SHA-256 in hex. */
  readonly model: string;
  readonly modelSha256: string;
  readonly createdAt: Date;
  /** In the order in which they were given. */
  readonly images: readonly SealedImage[];
}

/** Where people outlive the process. */
export interface IdentityStore {
  create(identity: SealedIdentity): Promise<void>;
  /** All of them, in the order in which they were made, without thumbnails. */
  list(): Promise<readonly SealedIdentity[]>;
  /** Sealed; null where there is none. */
  thumbnail(id: string, position: number): Promise<Uint8Array | null>;
  /** Erases it, so that nothing of it is left in the store's files. Does nothing where there is none. */
  remove(id: string): Promise<void>;
}
