import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { MediaSource } from '../media-source.ts';
import { RtmpSession } from './rtmp-session.ts';

export interface RtmpServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Whether `key` is the stream's; compares in constant time. Nobody else hears of a publish before. */
  authorize(streamId: string, key: string): Promise<boolean>;
  /** Somebody authorised publishes; the connection ends when it rejects. Owns `source` from then on. */
  onPublish(streamId: string, source: MediaSource): Promise<void>;
  readonly log: Logger;
  readonly maxConnections?: number;
  readonly maxConnectionsPerAddress?: number;
  readonly publishTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly probeMs?: number;
}

const DEFAULTS = {
  maxConnections: 64,
  maxConnectionsPerAddress: 16,
  publishTimeoutMs: 5_000,
  idleTimeoutMs: 10_000,
  probeMs: 2_000,
};

/**
 * The RTMP door: `rtmp://host/live/{stream}?key=…` publishes, nothing plays.
 * Media goes nowhere but to `onPublish`; a play ends its connection.
 */
export class RtmpServer {
  readonly #server: Server;
  readonly #options: RtmpServerOptions & typeof DEFAULTS;
  readonly #sessions = new Set<RtmpSession>();
  readonly #perAddress = new Map<string, number>();
  #closing: Promise<void> | undefined;

  private constructor(options: RtmpServerOptions) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...DEFAULTS, ...(Object.fromEntries(given) as unknown as RtmpServerOptions) };
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.maxConnections = this.#options.maxConnections;
  }

  /** @throws Error of the listening socket, e.g. EADDRINUSE */
  static async create(options: RtmpServerOptions): Promise<RtmpServer> {
    const server = new RtmpServer(options);
    server.#server.listen(options.port, options.host);
    await once(server.#server, 'listening');
    // Out of descriptors and the like: the connection is lost, the server stays.
    server.#server.on('error', (error) => options.log.error({ err: error }, 'RTMP server'));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sessions.size;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((fulfil) => this.#server.close(() => fulfil()));
    await Promise.all([...this.#sessions].map((session) => session.close()));
    await closed;
  }

  #connected(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const open = this.#perAddress.get(address) ?? 0;
    if (this.#closing || open >= this.#options.maxConnectionsPerAddress) {
      socket.destroy();
      return;
    }
    this.#perAddress.set(address, open + 1);
    const session = new RtmpSession(socket, this.#options);
    this.#sessions.add(session);
    void session.closed.then(() => {
      this.#sessions.delete(session);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    });
  }
}
