import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';

/** Origins whose pages may use what is below, `*` for all of them. Each as a browser writes it, `https://a.example:8443`. */
export type CorsOrigins = '*' | readonly string[];

/** What works from other origins: publishing, watching, HLS and the player. Everything else is for our own pages. */
const OPEN_PATHS = ['/whip/', '/whep/', '/hls/', '/recordings/', '/objects/', '/embed/'] as const;

/** How long a browser may go without asking again, in seconds; browsers take at most two hours. */
const PREFLIGHT_MAX_AGE_S = 600;

/** Whether a page of `origin` may use `path`; for `loopbackGuard`. */
export function isOriginAllowed(origins: CorsOrigins): (origin: string, path: string) => boolean {
  return (origin, path) =>
    (origins === '*' || origins.includes(origin.toLowerCase())) && OPEN_PATHS.some((open) => path.startsWith(open));
}

/** Answers preflights, and lets pages of the named origins read answers and the headers that WHIP and WHEP need. */
export function corsHeaders(origins: CorsOrigins): MiddlewareHandler {
  return cors({
    origin: origins === '*' ? '*' : [...origins],
    allowMethods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowHeaders: ['Authorization', 'Content-Type', 'If-Match'],
    exposeHeaders: ['Location', 'ETag', 'Link', 'Retry-After'],
    maxAge: PREFLIGHT_MAX_AGE_S,
  });
}
