import { createHash, randomBytes } from 'node:crypto';

const TOKEN_BYTES = 32;
/** Longer ones are none of ours. */
const MAX_TOKEN_LENGTH = 128;

export interface PlayTokenRecord {
  /** SHA-256 in hexadecimal: the tokens are random, so that one fast hash is enough. */
  readonly tokenHash: string;
  readonly stream: string;
  readonly expiresAt: Date;
}

/** Where play tokens outlive the process; those of a stream go with it. */
export interface PlayTokenStore {
  add(record: PlayTokenRecord): Promise<unknown>;
  /** Null where there is none, or it has expired. */
  find(tokenHash: string, now: Date): Promise<PlayTokenRecord | null>;
}

/** Tokens that let viewers in. */
export class PlayTokens {
  readonly #store: PlayTokenStore;

  constructor(store: PlayTokenStore) {
    this.#store = store;
  }

  /** @returns the token, of which only a hash is kept */
  async make(stream: string, expiresAt: Date): Promise<string> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await this.#store.add({ tokenHash: hashOf(token), stream, expiresAt });
    return token;
  }

  /** The stream that `token` opens now; null when it opens none. */
  async streamOf(token: string): Promise<string | null> {
    if (token.length > MAX_TOKEN_LENGTH) return null;
    const now = new Date();
    const found = await this.#store.find(hashOf(token), now);
    return found !== null && found.expiresAt > now ? found.stream : null;
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
