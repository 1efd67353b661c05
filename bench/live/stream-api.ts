/** As the API gives a stream, as far as the bench looks. */
export interface StreamView {
  readonly id: string;
  readonly key: string;
  readonly state: 'idle' | 'starting' | 'live' | 'draining';
  readonly publish: { readonly whip: string; readonly rtmp: string };
  readonly play: { readonly whep: string };
  readonly stats: StatsView | null;
}

export interface StatsView {
  readonly codec: { readonly in: string; readonly out: string };
  readonly width: number;
  readonly height: number;
  readonly fps: { readonly in: number; readonly out: number };
  readonly frames: {
    readonly in: number;
    readonly detected: number;
    readonly bracketed: number;
    readonly covered: number;
    readonly dropped: Readonly<Record<string, number>>;
  };
  readonly addedLatencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly lipSyncMs: number;
  readonly bitrateBps: { readonly in: number; readonly out: number };
  readonly viewers: number;
}

const REQUEST_LIMIT_MS = 10_000;
const POLL_MS = 20;

/** The HTTP API from outside. */
export class StreamApi {
  readonly url: string;
  readonly #problems: () => string[];

  /** @param problems what the server logged, for error messages */
  constructor(url: string, problems: () => string[]) {
    this.url = url;
    this.#problems = problems;
  }

  create(id: string, lookaheadFrames: number): Promise<StreamView> {
    return this.#json('POST', '/v1/streams', { id, policy: { lookaheadFrames } });
  }

  get(id: string): Promise<StreamView> {
    return this.#json('GET', `/v1/streams/${id}`);
  }

  async list(): Promise<readonly StreamView[]> {
    return (await this.#json<{ items: StreamView[] }>('GET', '/v1/streams')).items;
  }

  async remove(id: string): Promise<void> {
    await this.#send('DELETE', `/v1/streams/${id}`);
  }

  /** Asks until `isSo`. @throws Error with the server's errors where it does not come in time */
  async until(id: string, what: string, isSo: (stream: StreamView) => boolean, limitMs: number): Promise<StreamView> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const stream = await this.get(id);
      if (isSo(stream)) return stream;
      if (performance.now() > deadline) {
        const log = this.#problems().join('\n');
        throw new Error(`stream ${id} was not ${what} within ${limitMs} ms; it is ${stream.state}\n${log}`);
      }
      await forMs(POLL_MS);
    }
  }

  /** Posts a WHIP offer. */
  async whip({ id, key }: Pick<StreamView, 'id' | 'key'>, offer: string): Promise<SdpAnswer> {
    return this.#offer(`/whip/${id}`, offer, { authorization: `Bearer ${key}` });
  }

  async whep(id: string, offer: string): Promise<SdpAnswer> {
    return this.#offer(`/whep/${id}`, offer, {});
  }

  /** Ends a WHIP or WHEP session. */
  async hangUp({ location }: SdpAnswer, stream: Pick<StreamView, 'key'>): Promise<void> {
    await this.#send('DELETE', location, undefined, { authorization: `Bearer ${stream.key}` });
  }

  async #offer(path: string, offer: string, headers: Record<string, string>): Promise<SdpAnswer> {
    const response = await this.#send('POST', path, offer, { 'content-type': 'application/sdp', ...headers });
    return { answer: await response.text(), location: response.headers.get('location') ?? path };
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await this.#send(method, path, text, { 'content-type': 'application/json' });
    return (await response.json()) as T;
  }

  async #send(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Response> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    });
    if (response.ok) return response;
    const log = this.#problems().join('\n');
    throw new Error(`${method} ${path}: ${response.status} ${(await response.text()).slice(0, 300)}\n${log}`);
  }
}

export interface SdpAnswer {
  readonly answer: string;
  readonly location: string;
}

export function forMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
