import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import type { LiveStream, RtcSession } from '../../sfu/stream-types.ts';
import { GatewayError } from '../errors.ts';
import { type CorsOrigins, corsHeaders } from './cors.ts';
import { type AddressedSession, RtcSessions } from './rtc-sessions.ts';
import { toGatewayError } from './sfu-errors.ts';

const SDP = 'application/sdp';
const SDP_FRAGMENT = 'application/trickle-ice-sdpfrag';
/** What an offer or a fragment may hold; real ones have a few KiB. */
const MAX_BODY_BYTES = 65_536;
const MAX_SESSIONS = 1000;
const STREAM_ID = /^[a-z0-9-]{1,64}$/;

/** What the routes need of the streams. Ids come in lower case and well-formed. */
export interface WhipStreams {
  /** @returns null or undefined where there is none; it may throw GatewayError 'stream-not-found' as well */
  find(id: string): LiveStream | null | undefined;
  /** Whether `key` may publish to stream `id`; false where there is no such stream, after the same time. */
  verifyKey(id: string, key: string): boolean | Promise<boolean>;
  /** Whether one with `token` (null: with none) may watch stream `id`. */
  verifyPlayToken(id: string, token: string | null): boolean | Promise<boolean>;
}

export interface WhipRoutesOptions {
  readonly streams: WhipStreams;
  readonly log: Logger;
  readonly corsOrigins?: CorsOrigins;
  /** Publishing, and as many again watching, at a time. */
  readonly maxSessions?: number;
}

/** One of the two protocols: they differ in who may, and in which way media flows. */
interface Protocol {
  readonly name: 'whip' | 'whep';
  mayEnter(stream: string, credential: string | null): boolean | Promise<boolean>;
  negotiate(stream: LiveStream, offer: string): Promise<RtcSession>;
}

/**
 * `/whip/{stream}` (RFC 9725) and `/whep/{stream}` (draft-ietf-wish-whep, the same with media the other way), to be
 * mounted at `/`. Throws GatewayError alone. The sessions end with their streams.
 */
export function whipRoutes(options: WhipRoutesOptions): Hono {
  const { streams } = options;
  const routes = new Hono();
  routes.onError((error) => {
    throw toGatewayError(error);
  });
  const publishing: Protocol = {
    name: 'whip',
    mayEnter: (stream, key) => key !== null && streams.verifyKey(stream, key),
    negotiate: (stream, offer) => stream.publishWhip(offer),
  };
  const watching: Protocol = {
    name: 'whep',
    mayEnter: (stream, token) => streams.verifyPlayToken(stream, token),
    negotiate: (stream, offer) => stream.watchWhep(offer),
  };
  for (const protocol of [publishing, watching]) addRoutes(routes, protocol, options);
  return routes;
}

function addRoutes(routes: Hono, protocol: Protocol, options: WhipRoutesOptions): void {
  const { streams, log, corsOrigins = [], maxSessions = MAX_SESSIONS } = options;
  const { name } = protocol;
  const sessions = new RtcSessions(maxSessions);
  const endpoint = `/${name}/:stream`;
  const address = `/${name}/:stream/:session`;

  // RFC 9725 §4.2: OPTIONS is answered 200, a preflight or not, and says what may be posted.
  routes.use(endpoint, answerOptions({ Allow: 'OPTIONS, POST', 'Accept-Post': SDP }));
  routes.use(address, answerOptions({ Allow: 'OPTIONS, PATCH, DELETE', 'Accept-Patch': SDP_FRAGMENT }));
  for (const path of [endpoint, address]) routes.use(path, noStore, corsHeaders(corsOrigins));

  /** Before anything is told of the stream or read of the body: without it, what exists and what doesn't look alike. */
  async function admit(c: Context): Promise<{ stream: string; credential: string | null }> {
    const stream = c.req.param('stream')!.toLowerCase();
    const credential = credentialOf(c);
    if (!STREAM_ID.test(stream) || !(await protocol.mayEnter(stream, credential))) refuse(c);
    return { stream, credential };
  }

  async function sessionOf(c: Context): Promise<AddressedSession> {
    const session = sessions.find(c.req.param('stream')!.toLowerCase(), c.req.param('session')!);
    if (session === null) {
      await admit(c);
      throw new GatewayError('not-found', 'there is no such session');
    }
    // RFC 9725 §4.7.1: a client sends its bearer token to the session as it did to the endpoint.
    if (!session.admits(credentialOf(c))) refuse(c);
    return session;
  }

  routes.post(endpoint, async (c) => {
    const { stream, credential } = await admit(c);
    const live = streams.find(stream);
    if (!live) throw new GatewayError('stream-not-found', 'there is no such stream');
    requireType(c, SDP);
    const { signal } = c.req.raw;
    const offer = await bodyOf(c);
    const session = await sessions.open(stream, credential, () => protocol.negotiate(live, offer));
    // Who gave up meanwhile never learns the address.
    if (signal.aborted) {
      await session.rtc.close();
      throw new GatewayError('closed', 'the request was given up', { retryAfterSeconds: 1 });
    }
    log.info({ streamId: stream, protocol: name, sessions: sessions.size }, 'session opened');
    session.rtc.onClosed(() => log.info({ streamId: stream, protocol: name }, 'session closed'));
    const headers = { 'Content-Type': SDP, Location: `/${name}/${stream}/${session.id}`, ETag: session.etag };
    return c.body(session.rtc.answer, 201, headers);
  });

  routes.patch(address, async (c) => {
    const session = await sessionOf(c);
    requireType(c, SDP_FRAGMENT);
    const restart = demandsRestart(c, session);
    const fragment = await bodyOf(c);
    if (!restart) {
      session.rtc.trickle(fragment);
      // RFC 9725 §4.3.2: no body and no ETag.
      return c.body(null, 204);
    }
    const answer = await session.restartIce(fragment);
    return c.body(answer, 200, { 'Content-Type': SDP_FRAGMENT, ETag: session.etag });
  });

  routes.delete(address, async (c) => {
    // RFC 9725 §4.3.1: entity tags do not matter here.
    const session = await sessionOf(c);
    await session.rtc.close();
    return c.body(null, 200);
  });

  // RFC 9725 §4.2: every other method is kept for later, of endpoint and session alike.
  routes.all(endpoint, (c) => methodNotAllowed(c, 'OPTIONS, POST'));
  routes.all(address, (c) => methodNotAllowed(c, 'OPTIONS, PATCH, DELETE'));
}

/** @returns null where none was shown; one that can't be read opens nothing */
function credentialOf(c: Context): string | null {
  const header = c.req.header('authorization');
  if (header === undefined) return null;
  const token = /^Bearer +(\S{1,512})$/i.exec(header)?.[1];
  return token ?? refuse(c);
}

function refuse(c: Context): never {
  c.header('WWW-Authenticate', 'Bearer');
  throw new GatewayError('unauthorized', 'this needs the right credential, as Authorization: Bearer');
}

function requireType(c: Context, type: string): void {
  const given = (c.req.header('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (given !== type) throw new GatewayError('unsupported-media-type', `the body must be ${type}`);
}

/**
 * Whether an ICE restart is asked for, rather than candidates added to the ICE session that the client knows.
 * @throws GatewayError 'precondition-required' | 'precondition-failed'
 */
function demandsRestart(c: Context, { etag }: AddressedSession): boolean {
  const condition = c.req.header('if-match')?.trim();
  if (!condition) throw new GatewayError('precondition-required', 'If-Match must say the ETag of the session, or *');
  // RFC 9110 §13.1.1 has it bare; RFC 9725's example, and clients after it, in quotes.
  if (condition === '*' || condition === '"*"') return true;
  // A weak tag (W/"…") never matches here.
  if (!condition.split(',').some((tag) => tag.trim() === etag)) {
    throw new GatewayError('precondition-failed', 'If-Match is of an ICE session that is over');
  }
  return false;
}

const limit = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw new GatewayError('body-too-large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
  },
});

async function bodyOf(c: Context): Promise<string> {
  await limit(c, async () => {});
  return c.req.text();
}

const noStore: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('Cache-Control', 'no-store');
};

function answerOptions(headers: Readonly<Record<string, string>>): MiddlewareHandler {
  return async (c, next) => {
    await next();
    if (c.req.method !== 'OPTIONS') return;
    c.res = new Response(null, { status: 200, headers: c.res.headers });
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
  };
}

function methodNotAllowed(c: Context, allowed: string): never {
  c.header('Allow', allowed);
  throw new GatewayError('method-not-allowed', `${c.req.method} is not possible here`);
}
