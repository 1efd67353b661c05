import { randomBytes } from 'node:crypto';
import type { SealedIdentity } from '../../../gateway/identities/identity-store.ts';

/** A person to store, whose bytes nothing else has. */
export function sealedIdentity(id: string, photos = 2, settings: Partial<SealedIdentity> = {}): SealedIdentity {
  return {
    id,
    sealedKey: randomBytes(61),
    sealedName: randomBytes(40),
    model: 'face-recogniser',
    modelSha256: 'ab'.repeat(32),
    createdAt: new Date('2026-01-02T03:04:05.678Z'),
    images: Array.from({ length: photos }, (_, i) => ({
      quality: 0.1 + i / 3,
      sealedFace: randomBytes(573),
      sealedThumbnail: i % 2 ? null : randomBytes(9000),
    })),
    ...settings,
  };
}

/** As lists give it. */
export function withoutThumbnails(identity: SealedIdentity): SealedIdentity {
  return { ...identity, images: identity.images.map((image) => ({ ...image, sealedThumbnail: null })) };
}

/** Drivers give bytes in one class or another. */
export function withBuffers(identity: SealedIdentity): SealedIdentity {
  return {
    ...identity,
    sealedKey: Buffer.from(identity.sealedKey),
    sealedName: Buffer.from(identity.sealedName),
    images: identity.images.map((image) => ({ ...image, sealedFace: Buffer.from(image.sealedFace) })),
  };
}
