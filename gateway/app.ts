import { fileURLToPath } from 'node:url';
import { serveStatic } from '@hono/node-server/serve-static';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { type RequestIdVariables, requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import type { Logger } from 'pino';
import { LocalStore } from '../recorder/store/local-store.ts';
import type { ObjectStore } from '../recorder/store/object-store.ts';
import type { Clips } from './demo/clips.ts';
import { clipRoutes } from './demo/routes.ts';
import { GatewayError } from './errors.ts';
import { identityRoutes } from './identities/identity-routes.ts';
import { type JobRoutesOptions, jobRoutes } from './jobs/job-routes.ts';
import { type CorsOrigins, corsHeaders, isOriginAllowed } from './live/cors.ts';
import type { LiveGateway } from './live/live-gateway.ts';
import { streamRoutes } from './live/stream-routes.ts';
import { whipRoutes } from './live/whip.ts';
import { loopbackGuard } from './loopback.ts';
import { objectHeaders, objectRoutes } from './objects/object-routes.ts';
import { hlsRoutes } from './recordings/hls-routes.ts';
import { type RecordingRoutesOptions, recordingRoutes } from './recordings/recording-routes.ts';
import { type StillRoutesOptions, stillRoutes } from './stills/routes.ts';
import { type VideoRoutesOptions, videoPlaylistRoute, videoRoutes } from './videos/video-routes.ts';

const WEB_DEMO = fileURLToPath(new URL('../web-demo', import.meta.url));

export interface AppOptions {
  readonly clips: Clips;
  readonly live: LiveApp;
  readonly stills: Omit<StillRoutesOptions, 'access' | 'log'>;
  readonly jobs: JobRoutesOptions['jobs'];
  /** Those of a local store are served here. */
  readonly objects?: ObjectStore;
  /** Left out where nothing is recorded. */
  readonly recording?: RecordingRoutesOptions['recording'];
  /** Left out where no videos are taken. */
  readonly videos?: Omit<VideoRoutesOptions, 'access' | 'publicUrl'>;
  /** What the addresses that are handed out begin with; null: the Host of each request. */
  readonly publicUrl: string | null;
  readonly corsOrigins: CorsOrigins;
  /** Resolves when the detector's weights are at hand, rejects when they are not. */
  readonly ready: () => Promise<unknown>;
  readonly log: Logger;
}

/** What of the live half the routes need. */
export type LiveApp = Pick<LiveGateway, 'streams' | 'access' | 'playTokens' | 'identities' | 'ready' | 'rtmpPort'>;

type AppEnv = { Variables: RequestIdVariables };

/** All HTTP routes. Holds no state of its own; `clips`, `live` and `stills` stay their creator's to close. */
export function createApp({
  clips,
  live,
  stills,
  jobs,
  objects,
  recording,
  videos,
  publicUrl,
  corsOrigins,
  ready,
  log,
}: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(requestId());
  // Before those of everything else, and so set after them.
  app.use('/objects/*', objectHeaders);
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        mediaSrc: ["'self'", 'blob:'],
        connectSrc: ["'self'"],
        formAction: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      xFrameOptions: 'DENY',
      // The server speaks plain HTTP on loopback.
      strictTransportSecurity: false,
    }),
  );
  app.use(methodNotAllowed({ app, onMethodNotAllowed: refuseMethod }));
  app.use(loopbackGuard(isOriginAllowed(corsOrigins)));

  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    await ready().catch((error) => {
      throw new GatewayError('not-ready', 'the face detector is not at hand; run npm run setup', {
        retryAfterSeconds: 10,
        cause: error,
      });
    });
    if (!live.ready) {
      throw new GatewayError('not-ready', 'the media server is starting again', { retryAfterSeconds: 1 });
    }
    return c.json({ status: 'ready' });
  });

  if (objects instanceof LocalStore) {
    app.use('/objects/*', corsHeaders(corsOrigins));
    app.route('/objects', objectRoutes({ store: objects, log }));
  }
  app.route('/demo/clips', clipRoutes(clips));
  const { streams, access, playTokens, identities } = live;
  const urls = { publicUrl, rtmpPort: () => live.rtmpPort, hls: recording !== undefined };
  app.route('/v1/streams', streamRoutes({ streams, playTokens, access, urls }));
  app.route('/v1/identities', identityRoutes({ identities, access }));
  const { intake, limits } = stills;
  app.route('/v1/jobs', jobRoutes({ jobs, access }));
  app.route('/v1/faces', stillRoutes({ stills: stills.stills, intake, limits, access, log }));
  if (recording) {
    app.route('/v1/recordings', recordingRoutes({ recording, access, publicUrl }));
    app.route('/', hlsRoutes({ recording, streams, access, corsOrigins }));
  }
  if (videos) {
    const { store, links, retentionMs, nameOf } = videos;
    const options = { videos: videos.videos, store, links, retentionMs, nameOf, access, publicUrl };
    app.route('/v1/videos', videoRoutes(options));
    app.route('/', videoPlaylistRoute(options));
  }
  const doors = {
    find: (id: string) => streams.find(id),
    verifyKey: (id: string, key: string) => streams.verifyKey(id, key),
    verifyPlayToken: (id: string, token: string | null) => access.mayWatch(id, token),
  };
  app.route('/', whipRoutes({ streams: doors, log, corsOrigins }));

  const files = serveStatic({ root: WEB_DEMO });
  app.use('/*', noCache);
  app.get('/', files);
  // Also of streams that are not there: the page says so, and only to those who may watch whether one is.
  app.get('/embed/:stream{[A-Za-z0-9-]{1,64}}', serveStatic({ root: WEB_DEMO, path: 'watch.html' }));
  app.use('/*', files);

  app.notFound((c) => errorResponse(c, new GatewayError('not-found', 'there is nothing at this address')));
  app.onError((error, c) => {
    const known = error instanceof GatewayError ? error : new GatewayError('internal', 'the server failed');
    if (known.status >= 500) {
      log.error({ requestId: c.get('requestId'), code: known.code, err: error.cause ?? error }, 'request failed');
    }
    return errorResponse(c, known);
  });
  return app;
}

/** Pages and scripts of one version belong together: browsers ask each time whether theirs is the present one. */
const noCache: MiddlewareHandler = (c, next) => {
  // Not in serveStatic's onFound, which comes when its answer is made already.
  c.header('Cache-Control', 'no-cache');
  return next();
};

function refuseMethod(c: Context, allowed: string[]): Response {
  const response = errorResponse(c, new GatewayError('method-not-allowed', `${c.req.method} is not possible here`));
  response.headers.set('Allow', allowed.join(', '));
  return response;
}

function errorResponse(c: Context, error: GatewayError): Response {
  if (error.retryAfterSeconds !== undefined) c.header('Retry-After', String(error.retryAfterSeconds));
  // RFC 9110 §15.5.2: with every 401.
  if (error.status === 401) c.header('WWW-Authenticate', 'Bearer');
  const { code, message, details } = error;
  // Beside the error as well as in it: the contract's sentence can be read either way.
  const told = details ? { details } : {};
  return c.json({ error: { code, message, requestId: c.get('requestId'), ...told }, ...told }, error.status);
}
