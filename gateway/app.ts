import { fileURLToPath } from 'node:url';
import { serveStatic } from '@hono/node-server/serve-static';
import { type Context, Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { type RequestIdVariables, requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import type { Logger } from 'pino';
import type { Clips } from './demo/clips.ts';
import { clipRoutes } from './demo/routes.ts';
import { GatewayError } from './errors.ts';
import { loopbackGuard } from './loopback.ts';

const WEB_DEMO = fileURLToPath(new URL('../web-demo', import.meta.url));

export interface AppOptions {
  readonly clips: Clips;
  /** Resolves when the detector's weights are at hand, rejects when they are not. */
  readonly ready: () => Promise<unknown>;
  readonly log: Logger;
}

type AppEnv = { Variables: RequestIdVariables };

/** All HTTP routes. Holds no state of its own; `clips` stays its creator's to close. */
export function createApp({ clips, ready, log }: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(requestId());
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
  app.use(loopbackGuard());

  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    await ready().catch((error) => {
      throw new GatewayError('not-ready', 'the face detector is not at hand; run npm run setup', {
        retryAfterSeconds: 10,
        cause: error,
      });
    });
    return c.json({ status: 'ready' });
  });

  app.route('/demo/clips', clipRoutes(clips));

  const files = serveStatic({ root: WEB_DEMO, onFound: (_path, c) => c.header('Cache-Control', 'no-cache') });
  app.get('/', files);
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

function refuseMethod(c: Context, allowed: string[]): Response {
  const response = errorResponse(c, new GatewayError('method-not-allowed', `${c.req.method} is not possible here`));
  response.headers.set('Allow', allowed.join(', '));
  return response;
}

function errorResponse(c: Context, error: GatewayError): Response {
  if (error.retryAfterSeconds !== undefined) c.header('Retry-After', String(error.retryAfterSeconds));
  const { code, message } = error;
  return c.json({ error: { code, message, requestId: c.get('requestId') } }, error.status);
}
