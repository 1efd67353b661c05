import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { checkKey } from './keys.ts';

/** What a signed path lets its holder do, and until when. */
export interface Grant {
  /** A path for GET does for HEAD. */
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  /** Seconds since 1970. */
  readonly expires: number;
  /** GET: the name under which it is saved. */
  readonly filename?: string | undefined;
  /** PUT: the only size that is taken, in bytes. */
  readonly size?: number | undefined;
  /** PUT: the media type that it is stored with. */
  readonly type?: string | undefined;
  /** PUT: the only content that is taken, in hex. */
  readonly sha256?: string | undefined;
  /** PUT: the part of an upload that it is. */
  readonly upload?: string | undefined;
  readonly part?: number | undefined;
}

/** In this order in every path: one grant has one text. */
const TERMS = ['expires', 'filename', 'size', 'type', 'sha256', 'upload', 'part'] as const;
const NUMBERS: ReadonlySet<string> = new Set(['expires', 'size', 'part']);
/** More no grant needs. */
const MAX_QUERY_LENGTH = 2048;

/** Makes paths that nobody without the key can make or change, `/objects/KEY?expires=…&signature=…`, and reads them. */
export class PathSigner {
  readonly #key: KeyObject;

  /** @param key for this alone; 32 bytes */
  constructor(key: KeyObject) {
    this.#key = key;
  }

  sign(grant: Grant): string {
    const query = termsOf(grant);
    return `/objects/${grant.key}?${query}&signature=${this.#mac(grant, query)}`;
  }

  /**
   * @param key the path's part after `/objects/`, as it was sent
   * @param query the path's part after `?`
   * @returns null for what was not signed, or for another method or key; whether it has expired is the caller's to see
   */
  verify(method: string, key: string, query: string): Grant | null {
    if (query.length > MAX_QUERY_LENGTH) return null;
    const sent = new URLSearchParams(query);
    const grant = readGrant(method === 'PUT' ? 'PUT' : 'GET', key, sent);
    if (!grant || (method !== 'PUT' && method !== 'GET' && method !== 'HEAD')) return null;
    const terms = termsOf(grant);
    // As texts: of base64 several mean the same bytes.
    const signature = Buffer.from(sent.get('signature') ?? '');
    const expected = Buffer.from(this.#mac(grant, terms));
    return signature.length === expected.length && timingSafeEqual(signature, expected) ? grant : null;
  }

  #mac({ method, key }: Grant, terms: string): string {
    return createHmac('sha256', this.#key).update(`${method}\n${key}\n${terms}`).digest('base64url');
  }
}

function termsOf(grant: Grant): string {
  const query = new URLSearchParams();
  for (const name of TERMS) if (grant[name] !== undefined) query.set(name, `${grant[name]}`);
  return query.toString();
}

/** Of what has no meaning here nothing is read, and so nothing is signed. */
function readGrant(method: Grant['method'], key: string, sent: URLSearchParams): Grant | null {
  try {
    checkKey(key);
  } catch {
    return null;
  }
  const terms: Record<string, string | number> = {};
  for (const name of TERMS) {
    const value = sent.get(name);
    if (value === null) continue;
    if (NUMBERS.has(name) && !/^\d{1,15}$/.test(value)) return null;
    terms[name] = NUMBERS.has(name) ? Number(value) : value;
  }
  return terms.expires === undefined ? null : ({ method, key, ...terms } as Grant);
}
