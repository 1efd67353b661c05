import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** So many that no guess ever meets one, and a plain hash is safe to store: there is no dictionary to try. */
const KEY_BYTES = 32;
const HASH_BYTES = 32;

/** A secret to show once, and the hash to keep. */
export interface NewKey {
  /** A prefix that says what it opens, then 256 random bits in base64url. */
  readonly key: string;
  /** SHA-256 of the key, in hex. */
  readonly hash: string;
}

/** A key to publish to a stream with. */
export function makeStreamKey(): NewKey {
  return make('sk_');
}

/** A token to watch a stream with. */
export function makePlayToken(): NewKey {
  return make('pt_');
}

/** SHA-256 of a key or token as it was shown, in hex. */
export function hashKey(key: string): string {
  return digest(key).toString('hex');
}

/**
 * Whether `hash` is that of `key`. Takes as long for a wrong key as for the right one, wherever they differ.
 * @param hash what `hashKey` gives; anything else belongs to no key
 */
export function verifyKey(key: string, hash: string): boolean {
  const wanted = Buffer.from(hash, 'hex');
  const given = digest(key);
  if (wanted.length !== HASH_BYTES) return false;
  return timingSafeEqual(given, wanted);
}

function make(prefix: string): NewKey {
  const key = prefix + randomBytes(KEY_BYTES).toString('base64url');
  return { key, hash: hashKey(key) };
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
