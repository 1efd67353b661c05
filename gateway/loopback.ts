import { isIPv4 } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import { GatewayError } from './errors.ts';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** True when `host` (an address or a name, no port, IPv6 without brackets) can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Refuses what a web page from elsewhere can make a browser send to a loopback server: another name that was made to
 * resolve to 127.0.0.1 (DNS rebinding, seen in `Host`), and requests across origins (seen in `Origin`, or in
 * `Sec-Fetch-Site` where a browser leaves `Origin` out).
 * @param isOriginAllowed whether pages of another origin may use this path all the same
 */
export function loopbackGuard(
  isOriginAllowed: (origin: string, path: string) => boolean = () => false,
): MiddlewareHandler {
  return async (c, next) => {
    const origin = c.req.header('origin');
    const welcome = origin !== undefined && isOriginAllowed(origin, c.req.path);
    checkHostAndOrigin(c.req.header('host') ?? new URL(c.req.url).host, origin, welcome ? '*' : []);
    const site = c.req.header('sec-fetch-site') ?? 'none';
    if (!welcome && !SAFE_METHODS.has(c.req.method) && site !== 'none' && site !== 'same-origin') {
      throw new GatewayError('foreign-origin', 'requests from other sites are refused');
    }
    await next();
  };
}

/**
 * The part of `loopbackGuard` that looks at two headers alone, for WebSocket upgrades.
 * @param allowedOrigins other sites that are welcome, lower case; or all
 * @throws GatewayError 'foreign-host' | 'foreign-origin'
 */
export function checkHostAndOrigin(
  host: string,
  origin: string | undefined,
  allowedOrigins: '*' | readonly string[] = [],
): void {
  if (!isLoopback(hostnameOf(host))) {
    throw new GatewayError('foreign-host', 'this server answers only to localhost and loopback addresses');
  }
  const from = origin?.toLowerCase();
  if (from === undefined || from === `http://${host.toLowerCase()}`) return;
  if (allowedOrigins !== '*' && !allowedOrigins.includes(from)) {
    throw new GatewayError('foreign-origin', 'requests from other sites are refused');
  }
}

/** The name in a `Host` header, lower case, without port and brackets; empty when it is malformed. */
function hostnameOf(host: string): string {
  const parts = /^(?:\[([0-9a-f:]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(host);
  return (parts?.[1] ?? parts?.[2] ?? '').toLowerCase();
}
