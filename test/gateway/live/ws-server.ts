import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { vi } from 'vitest';
import { WebSocket } from 'ws';
import { attachWebSocket, type WebSocketOptions } from '../../../gateway/live/websocket.ts';
import { createLiveApp, type LiveAppOptions } from './live-app.ts';

export interface WsServerOptions extends LiveAppOptions {
  readonly ws?: Partial<WebSocketOptions>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
type Message = any;

/** A client that keeps what it hears. */
export class WsClient {
  readonly socket: WebSocket;
  /** Everything that came, in order. */
  readonly heard: Message[] = [];
  closed: { code: number; reason: string } | null = null;
  #nextId = 1;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.heard.push(JSON.parse(data.toString())));
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on('error', () => {});
  }

  /** Sends a request and waits for its answer. */
  async request(message: Record<string, unknown>): Promise<Message> {
    const id = `r${this.#nextId++}`;
    this.socket.send(JSON.stringify({ id, ...message }));
    return this.hears((heard) => heard.id === id && 'ok' in heard);
  }

  /** Waits until something came that fits. */
  hears(fits: (message: Message) => boolean): Promise<Message> {
    return vi.waitFor(
      () => {
        const found = this.heard.find(fits);
        if (!found) throw new Error(`heard only ${JSON.stringify(this.heard).slice(0, 500)}`);
        return found;
      },
      { interval: 5, timeout: 5000 },
    );
  }

  events(type: string): Message[] {
    return this.heard.filter((message) => message.type === type);
  }

  async isClosed(): Promise<{ code: number; reason: string }> {
    if (!this.closed) await once(this.socket, 'close');
    return this.closed!;
  }
}

/** As much of a camera's track as mediasoup-client looks at. */
export const cameraTrack = (kind: 'audio' | 'video') =>
  Object.assign(new EventTarget(), {
    ...{ id: `track-${kind}`, kind, label: kind, readyState: 'live', enabled: true, muted: false },
    getSettings: () => ({}),
    stop: () => {},
  }) as never;

/** What a refused upgrade was answered. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Message;
}

/** A real HTTP server on a free port with `/ws` on it, over an SFU without media. */
export async function startWsServer(options: WsServerOptions = {}) {
  const live = await createLiveApp(options);
  const http = createServer((_request, response) => response.end('plain'));
  const { streams, access, log } = live;
  const ws = attachWebSocket(http, {
    ...{ streams, access, log, allowedOrigins: [], rawPreview: false },
    ...options.ws,
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const sockets: WebSocket[] = [];

  const open = (headers: Record<string, string>, path: string) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers, handshakeTimeout: 5000 });
    sockets.push(socket);
    return socket;
  };
  const connect = async (headers: Record<string, string> = {}): Promise<WsClient> => {
    const socket = open(headers, '/ws');
    const client = new WsClient(socket);
    await once(socket, 'open');
    return client;
  };
  const refused = (headers: Record<string, string> = {}, path = '/ws'): Promise<Refusal> =>
    new Promise((resolve, reject) => {
      const socket = open(headers, path);
      socket.on('error', () => {});
      socket.on('open', () => reject(new Error('the connection was taken')));
      socket.on('unexpected-response', (_request, response) => {
        let text = '';
        response.on('data', (data) => {
          text += data;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) }),
        );
      });
    });
  const close = async () => {
    await ws.close();
    for (const socket of sockets) socket.terminate();
    await new Promise((resolve) => http.close(resolve));
    await live.sfu.close();
  };
  return { ...live, http, port, ws, connect, refused, close };
}

export type WsServer = Awaited<ReturnType<typeof startWsServer>>;
