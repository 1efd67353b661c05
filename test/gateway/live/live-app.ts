import { createSecretKey, randomBytes } from 'node:crypto';
import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { type DestinationStream, pino } from 'pino';
import { GatewayError } from '../../../gateway/errors.ts';
import { Identities, type IdentitiesOptions } from '../../../gateway/identities/identities.ts';
import { identityRoutes } from '../../../gateway/identities/identity-routes.ts';
import { Access } from '../../../gateway/live/access.ts';
import { PlayTokens } from '../../../gateway/live/play-tokens.ts';
import type { PublicUrlOptions } from '../../../gateway/live/public-urls.ts';
import { streamRoutes } from '../../../gateway/live/stream-routes.ts';
import { Streams, type StreamsOptions } from '../../../gateway/live/streams.ts';
import { loopbackGuard } from '../../../gateway/loopback.ts';
import { Vault } from '../../../gateway/secrets/vault.ts';
import type { BodyLimits } from '../../../gateway/stills/read-body.ts';
import { FakeSfu } from '../fake-sfu.ts';
import { FAKE_RECOGNISER, FakeImages } from '../identities/fake-images.ts';
import { MemoryIdentityStore } from '../identities/memory-identity-store.ts';
import { MemoryPlayTokenStore, MemoryStreamStore } from './memory-store.ts';

export interface LiveAppOptions {
  readonly store?: MemoryStreamStore;
  readonly bind?: string;
  readonly urls?: Partial<PublicUrlOptions>;
  readonly streams?: Partial<StreamsOptions>;
  readonly identities?: Partial<Omit<IdentitiesOptions, 'store'>> & { readonly store?: MemoryIdentityStore };
  readonly bodyLimits?: BodyLimits;
}

/** Streams, identities and their routes over an SFU without media and stores in memory. */
export async function createLiveApp(options: LiveAppOptions = {}) {
  const sfu = new FakeSfu();
  const store = options.store ?? new MemoryStreamStore();
  const tokens = new MemoryPlayTokenStore();
  const playTokens = new PlayTokens(tokens);
  const logged: string[] = [];
  const sink: DestinationStream = { write: (line) => logged.push(line) };
  const log = pino({ level: 'trace' }, sink);
  const images = new FakeImages();
  const vault = new Vault(createSecretKey(randomBytes(32)));
  const people = options.identities?.store ?? new MemoryIdentityStore();
  const enrolment = { images, vault, recogniser: FAKE_RECOGNISER, log, ...options.identities, store: people };
  const identities = await Identities.create(enrolment);
  const streams = await Streams.create({ sfu, store, people: identities, maxStreams: 1000, log, ...options.streams });
  identities.beforeErasure(({ id }) => streams.forgetPerson(id));
  const access = new Access({ bind: options.bind ?? '127.0.0.1', playTokens });
  const urls = { publicUrl: null, rtmpPort: () => 1935, hls: false, ...options.urls };

  const app = new Hono<{ Variables: { requestId: string } }>();
  app.use(requestId());
  app.use(loopbackGuard());
  app.route('/v1/streams', streamRoutes({ streams, playTokens, access, urls }));
  const limits = options.bodyLimits ? { limits: options.bodyLimits } : {};
  app.route('/v1/identities', identityRoutes({ identities, access, ...limits }));
  app.onError((error, c) => {
    if (!(error instanceof GatewayError)) throw error;
    const { code, message, status, retryAfterSeconds, details } = error;
    if (retryAfterSeconds !== undefined) c.header('Retry-After', String(retryAfterSeconds));
    const told = details ? { details } : {};
    return c.json({ error: { code, message, requestId: c.get('requestId'), ...told }, ...told }, status);
  });

  /** Sends JSON, or nothing, and reads JSON, or nothing. */
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await app.request(path, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
    return { status: response.status, headers: response.headers, body: (text === '' ? null : JSON.parse(text)) as any };
  };
  return { app, sfu, store, tokens, playTokens, streams, identities, people, images, vault, access, log, logged, call };
}

export type LiveApp = Awaited<ReturnType<typeof createLiveApp>>;
