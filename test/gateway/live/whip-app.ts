import { Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { requestId } from 'hono/request-id';
import { pino } from 'pino';
import { GatewayError } from '../../../gateway/errors.ts';
import { isOriginAllowed } from '../../../gateway/live/cors.ts';
import { type WhipRoutesOptions, whipRoutes } from '../../../gateway/live/whip.ts';
import { loopbackGuard } from '../../../gateway/loopback.ts';
import type { LiveStream, RtcSession } from '../../../sfu/stream-types.ts';

export const KEY = 'key-of-the-street';
export const TOKEN = 'token-of-a-viewer';
export const HOST = '127.0.0.1:8080';
export const SDP = 'application/sdp';
export const FRAGMENT = 'application/trickle-ice-sdpfrag';
export const OFFER = 'v=0\r\nan offer\r\n';
/** Of a request's body, in bytes. */
export const BODY_LIMIT = 65_536;

/** A session without media. */
export class FakeSession implements RtcSession {
  readonly id = 'internal-id';
  readonly answer = 'v=0\r\nan answer\r\n';
  closed = false;
  readonly trickled: string[] = [];
  /** Holds ICE restarts back until it resolves. */
  hold: Promise<void> = Promise.resolve();
  refusal: Error | null = null;
  readonly #listeners = new Set<() => void>();

  async restartIce(fragment: string): Promise<string> {
    if (this.refusal) throw this.refusal;
    await this.hold;
    return `a=ice-ufrag:new-for-${fragment.length}\r\n`;
  }
  trickle(fragment: string): void {
    if (this.refusal) throw this.refusal;
    this.trickled.push(fragment);
  }
  async close(): Promise<void> {
    this.closed = true;
    for (const listener of this.#listeners) listener();
  }
  onClosed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** What `street`, the one stream there is, was asked for, and what it does. */
export class FakeStreet {
  readonly offers: string[] = [];
  readonly sessions: FakeSession[] = [];
  refusal: Error | null = null;
  /** Called while a session is negotiated. */
  during: () => Promise<void> | void = () => {};

  readonly publishWhip = (offer: string) => this.#negotiate(`whip ${offer}`);
  readonly watchWhep = (offer: string) => this.#negotiate(`whep ${offer}`);

  async #negotiate(offer: string): Promise<RtcSession> {
    this.offers.push(offer);
    await this.during();
    if (this.refusal) throw this.refusal;
    const session = new FakeSession();
    this.sessions.push(session);
    return session;
  }
}

export interface WhipSetting extends Partial<Pick<WhipRoutesOptions, 'maxSessions' | 'corsOrigins'>> {
  /** False as on a loopback bind. */
  readonly viewersNeedToken?: boolean;
  /** Whether the key opens no more, as after a new one was made. */
  readonly keyReplaced?: () => boolean;
}

export type Headers = Record<string, string>;
export const bearer = (credential: string): Headers => ({ authorization: `Bearer ${credential}` });

/** The error that an answer carries. */
export async function errorOf(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, code: error.code, message: error.message };
}

/** The routes over one stream, `street`, without media. */
export class WhipApp {
  readonly street = new FakeStreet();
  /** Ids and credentials as they were asked about. */
  readonly verified: [string, string | null][] = [];
  readonly logged: string[] = [];
  readonly app: Hono;

  constructor({ viewersNeedToken = true, keyReplaced = () => false, ...options }: WhipSetting = {}) {
    const streams: WhipRoutesOptions['streams'] = {
      find: (id) => (id === 'street' ? (this.street as unknown as LiveStream) : undefined),
      verifyKey: async (id, key) => {
        this.verified.push([id, key]);
        return id === 'street' && key === KEY && !keyReplaced();
      },
      verifyPlayToken: async (id, token) => {
        this.verified.push([id, token]);
        return viewersNeedToken ? id === 'street' && token === TOKEN : true;
      },
    };
    const log = pino({ level: 'trace' }, { write: (line) => this.logged.push(line) });
    const app = new Hono<{ Variables: { requestId: string } }>();
    app.use(requestId());
    app.use(methodNotAllowed({ app }));
    app.use(loopbackGuard(isOriginAllowed(options.corsOrigins ?? [])));
    app.route('/', whipRoutes({ streams, log, ...options }));
    app.onError((error, c) => {
      if (!(error instanceof GatewayError)) throw error;
      const { code, message, status, retryAfterSeconds } = error;
      if (retryAfterSeconds !== undefined) c.header('Retry-After', String(retryAfterSeconds));
      return c.json({ error: { code, message, requestId: c.get('requestId') } }, status);
    });
    this.app = app as unknown as Hono;
  }

  readonly send = async (method: string, path: string, headers: Headers = {}, body?: string | ReadableStream) =>
    this.app.request(path, {
      method,
      headers: { host: HOST, ...headers },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    } as RequestInit);

  readonly post = (path: string, headers: Headers = {}, body: string | ReadableStream = OFFER) =>
    this.send('POST', path, { 'content-type': SDP, ...headers }, body);

  /** Publishes, and gives the session's address and ETag. */
  async published(): Promise<{ path: string; etag: string; session: FakeSession }> {
    const response = await this.post('/whip/street', bearer(KEY));
    if (response.status !== 201) throw new Error(`publishing was answered ${response.status}`);
    const [path, etag] = ['location', 'etag'].map((name) => response.headers.get(name)!);
    return { path: path!, etag: etag!, session: this.street.sessions.at(-1)! };
  }
}
