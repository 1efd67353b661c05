import { hashKey, makePlayToken } from '../stream-keys.ts';

/** Longer ones are none of ours. */
const MAX_TOKEN_LENGTH = 128;

/** Where play tokens outlive the process; those of a stream go with it. */
export interface PlayTokenStore {
  /** @throws GatewayError 'stream-not-found' | 'too-many' */
  add(token: { readonly hash: string; readonly streamId: string; readonly expiresAt: Date }): Promise<unknown>;
  /** @returns the stream that the token of this hash opens; null where it opens none, or no longer */
  streamOf(hash: string): Promise<string | null>;
}

/** Tokens that let viewers in. */
export class PlayTokens {
  readonly #store: PlayTokenStore;

  constructor(store: PlayTokenStore) {
    this.#store = store;
  }

  /**
   * @returns the token, of which only a hash is kept
   * @throws GatewayError 'stream-not-found' | 'too-many'
   */
  async make(streamId: string, expiresAt: Date): Promise<string> {
    const { key, hash } = makePlayToken();
    await this.#store.add({ hash, streamId, expiresAt });
    return key;
  }

  /** The stream that `token` opens now; null when it opens none. */
  async streamOf(token: string): Promise<string | null> {
    return token.length > MAX_TOKEN_LENGTH ? null : this.#store.streamOf(hashKey(token));
  }
}
