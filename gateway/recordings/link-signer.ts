import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';

/** Expiry is rounded up to this, so that a playlist that is read again has the same addresses. */
const STEP_S = 300;
const TOKEN = /^(\d{1,12})\.([\w-]{43})$/;

/** Makes tokens that open one thing to whoever has them, until they expire. */
export class LinkSigner {
  readonly #key: KeyObject;
  readonly #now: () => number;

  /** @param key for this alone */
  constructor(key: KeyObject, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  /**
   * @param what names the thing that is opened
   * @param validMs at least so long, and up to five minutes longer
   */
  sign(what: string, validMs: number): string {
    const expires = Math.ceil((this.#now() + validMs) / 1000 / STEP_S) * STEP_S;
    return `${expires}.${this.#mac(what, expires)}`;
  }

  /** Whether `token` opens it now. */
  opens(what: string, token: string | null | undefined): boolean {
    const parts = TOKEN.exec(token ?? '');
    if (!parts) return false;
    const expires = Number(parts[1]);
    // As texts: several would be read as the same bytes.
    const sent = Buffer.from(parts[2]!);
    const expected = Buffer.from(this.#mac(what, expires));
    return sent.length === expected.length && timingSafeEqual(sent, expected) && expires * 1000 > this.#now();
  }

  #mac(what: string, expires: number): string {
    return createHmac('sha256', this.#key).update(`${expires}\n${what}`).digest('base64url');
  }
}
