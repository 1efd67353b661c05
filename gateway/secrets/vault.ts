import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';

export const KEY_BYTES = 32;

/** The form of what `seal` gives, its first byte: another algorithm gets another number. */
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;
const ALGORITHM = 'aes-256-gcm';

/** What was sealed can't be opened: with another key or for another context, or it was changed. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/**
 * Seals bytes so that only who has the key reads them or changes them unnoticed: AES-256-GCM, a random nonce each.
 * Sealed: version (1 byte), nonce (12), what was sealed (as long as it was), tag (16).
 * @see NIST SP 800-38D; §8.3 bounds one key to 2^32 random nonces
 */
export class Vault {
  readonly #key: KeyObject;

  /** @param key 32 bytes */
  constructor(key: KeyObject) {
    if (key.symmetricKeySize !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
    this.#key = key;
  }

  /** @param context what it is and whose, e.g. `identity-name:ID`: it opens for no other one */
  seal(plain: Uint8Array, context: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(associated(context));
    return Buffer.concat([Uint8Array.of(VERSION), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws SealError, which says nothing of either */
  open(sealed: Uint8Array, context: string): Uint8Array {
    if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw new SealError('this is not sealed');
    const end = sealed.length - TAG_BYTES;
    const nonce = sealed.subarray(1, HEAD_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associated(context));
    decipher.setAuthTag(sealed.subarray(end));
    const plain = decipher.update(sealed.subarray(HEAD_BYTES, end));
    try {
      decipher.final();
    } catch {
      // Decrypted, though nobody may have it.
      plain.fill(0);
      throw new SealError('this can not be opened with this key');
    }
    return plain;
  }

  /** A key for something else than sealing, the same at each start; nothing of it tells the vault's. @see RFC 5869 */
  deriveKey(purpose: string): KeyObject {
    return createSecretKey(Buffer.from(hkdfSync('sha256', this.#key, '', `faceblur: ${purpose}`, KEY_BYTES)));
  }
}

/** A key of its own for one thing: what was sealed with it is gone for good with the key. The caller erases the bytes. */
export function makeDataKey(): { readonly vault: Vault; readonly bytes: Uint8Array } {
  const bytes = randomBytes(KEY_BYTES);
  return { vault: new Vault(createSecretKey(bytes)), bytes };
}

function associated(context: string): Uint8Array {
  return Buffer.from(`${VERSION} ${context}`);
}
