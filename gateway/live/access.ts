import type { Context } from 'hono';
import { GatewayError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import type { PlayTokens } from './play-tokens.ts';

export type Scope = 'admin' | 'operate' | 'play';

/** What a caller may do. */
export interface Grant {
  readonly scopes: ReadonlySet<Scope>;
  /** The only stream it holds for; null: for all. */
  readonly stream: string | null;
}

export interface AccessOptions {
  /** The address that the server listens on. */
  readonly bind: string;
  readonly playTokens: Pick<PlayTokens, 'streamOf'>;
}

const EVERYTHING: Grant = Object.freeze({ scopes: new Set<Scope>(['admin', 'operate', 'play']), stream: null });
const NOTHING: Grant = Object.freeze({ scopes: new Set<Scope>(), stream: null });

/**
 * Who may do what. On a loopback bind whoever reaches us may do everything and no credential is asked for; but one who
 * shows a play token gets what that opens and no more, as he would elsewhere.
 */
export class Access {
  readonly #open: boolean;
  readonly #playTokens: AccessOptions['playTokens'];

  constructor({ bind, playTokens }: AccessOptions) {
    this.#open = isLoopback(bind);
    this.#playTokens = playTokens;
  }

  /** @param credential null where none was shown */
  async grantOf(credential: string | null): Promise<Grant> {
    const stream = credential === null ? null : await this.#playTokens.streamOf(credential);
    if (stream !== null) return { scopes: new Set<Scope>(['play']), stream };
    return this.#open ? EVERYTHING : NOTHING;
  }

  /** Whether whoever shows `credential` (null: none) may watch stream `id`. */
  async mayWatch(id: string, credential: string | null): Promise<boolean> {
    return permits(await this.grantOf(credential), 'play', id);
  }

  /**
   * Refuses a request whose `Authorization: Bearer` does not carry `scope`.
   * @throws GatewayError 'unauthorized' | 'forbidden'
   */
  async requireScope(c: Context, scope: Scope, stream: string | null = null): Promise<void> {
    const credential = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? null;
    demand(await this.grantOf(credential), scope, stream);
  }
}

/**
 * @param stream the one it is about; null where it is about no single one
 * @throws GatewayError 'unauthorized' where nothing is granted, 'forbidden' where not this
 */
export function demand(grant: Grant, scope: Scope, stream: string | null = null): void {
  if (grant.scopes.size === 0) throw new GatewayError('unauthorized', 'this needs a credential');
  if (!permits(grant, scope, stream)) {
    throw new GatewayError('forbidden', `this needs scope ${scope}${stream === null ? '' : ' for this stream'}`);
  }
}

function permits(grant: Grant, scope: Scope, stream: string | null): boolean {
  return grant.scopes.has(scope) && (grant.stream === null || grant.stream === stream);
}
