import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { JobQueue } from '../../recorder/jobs/job-queue.ts';
import type { Recordings } from '../../recorder/recording/recordings.ts';
import { GatewayError } from '../errors.ts';
import { checkHostAndOrigin } from '../loopback.ts';
import type { Access } from './access.ts';
import { toGatewayError } from './sfu-errors.ts';
import type { Streams } from './streams.ts';
import { Connection } from './ws/connection.ts';
import { WEB_SOCKET_LIMITS, type WebSocketLimits } from './ws/limits.ts';

const PATH = '/ws';

export interface WebSocketOptions {
  readonly streams: Streams;
  /** Left out where there are no jobs. */
  readonly jobs?: Pick<JobQueue, 'watch'>;
  /** Left out where nothing is recorded. */
  readonly recordings?: Pick<Recordings, 'onState'>;
  readonly access: Access;
  /** Sites, other than our own, whose pages may connect. */
  readonly allowedOrigins: '*' | readonly string[];
  readonly rawPreview: boolean;
  readonly log: Logger;
  readonly limits?: Partial<WebSocketLimits>;
}

/**
 * Serves `/ws` on an HTTP server, whose upgrades it takes over: other paths are answered 404, and requests that ask
 * for another protocol than WebSocket are left to the server's own routes.
 * @returns its end: every connection is closed, and all that was made over them
 */
export function attachWebSocket(http: EventEmitter, options: WebSocketOptions): { close(): Promise<void> } {
  const { log, allowedOrigins } = options;
  const limits = Object.freeze({ ...WEB_SOCKET_LIMITS, ...options.limits });
  const connections = new Set<Connection>();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.maxPayloadBytes,
  });
  // Refused by `ws` itself: no handshake of RFC 6455 §4.1.
  server.on('wsClientError', (_error, socket) => refuse(socket, new GatewayError('bad-request', 'no WebSocket')));

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', (error) => log.debug({ err: error }, 'upgrade failed'));
    try {
      checkHostAndOrigin(request.headers.host ?? '', request.headers.origin, allowedOrigins);
      if (request.url?.split('?')[0] !== PATH) throw new GatewayError('not-found', 'there is nothing at this address');
      if (connections.size >= limits.maxConnections) {
        throw new GatewayError('not-ready', 'too many connections', { retryAfterSeconds: 10 });
      }
      server.handleUpgrade(request, socket, head, (client) => {
        const connection = new Connection(client, { ...options, limits }, log);
        connections.add(connection);
        connection.ended.then(() => connections.delete(connection));
      });
    } catch (error) {
      refuse(socket, toGatewayError(error));
    }
  };
  http.on('upgrade', upgrade);
  // With a listener Node takes every request with an Upgrade header (`h2c` of curl and Java) for an upgrade.
  Object.assign(http, { shouldUpgradeCallback: isWebSocketUpgrade });

  return {
    async close() {
      http.off('upgrade', upgrade);
      await Promise.all([...connections].map((connection) => connection.close()));
      server.close();
    },
  };
}

function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function refuse(socket: Duplex, error: GatewayError): void {
  const body = JSON.stringify({ error: { code: error.code, message: error.message, requestId: randomUUID() } });
  const retry = error.retryAfterSeconds === undefined ? [] : [`Retry-After: ${error.retryAfterSeconds}`];
  const head = [
    `HTTP/1.1 ${error.status} Refused`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...retry,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
