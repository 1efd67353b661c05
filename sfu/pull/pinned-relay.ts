import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PassThrough, pipeline } from 'node:stream';
import { RedirectGuard } from './redirect-guard.ts';
import type { RemoteProtocol } from './remote-url.ts';

export interface PinnedRelayOptions {
  readonly protocol: RemoteProtocol;
  /** An IP address that was checked. */
  readonly address: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
}

/** RTMP's authentication of Adobe asks for two more connections; RTSP does it all in one. */
const MAX_CONNECTIONS: Readonly<Record<RemoteProtocol, number>> = { rtsp: 1, rtmp: 3 };

/**
 * Stands between FFmpeg and a server: FFmpeg connects to loopback, and this to the one address that was checked. So
 * FFmpeg resolves no name, and nothing that the server says takes it anywhere else.
 */
export class PinnedRelay {
  readonly #server: Server;
  readonly #options: PinnedRelayOptions;
  readonly #sockets = new Set<Socket>();
  #connections = 0;
  #failure: string | null = null;
  #closing: Promise<void> | undefined;

  private constructor(options: PinnedRelayOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.maxConnections = 1;
  }

  static async open(options: PinnedRelayOptions): Promise<PinnedRelay> {
    const relay = new PinnedRelay(options);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** On loopback. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Why the server could not be reached or was cut off, or null. */
  get failure(): string | null {
    return this.#failure;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((fulfil) => {
      this.#server.close(() => fulfil());
      for (const socket of this.#sockets) socket.destroy();
    });
    return this.#closing;
  }

  #connected(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#closing || ++this.#connections > MAX_CONNECTIONS[this.#options.protocol]) {
      client.destroy();
      return;
    }
    const { address, port, protocol, connectTimeoutMs } = this.#options;
    const remote = connect({ host: address, port, noDelay: true });
    client.setNoDelay(true);
    remote.setTimeout(connectTimeoutMs, () => remote.destroy(new Error('it does not answer')));
    remote.once('connect', () => remote.setTimeout(0));
    for (const socket of [client, remote]) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const guard = protocol === 'rtsp' ? new RedirectGuard() : null;
    if (guard) {
      client.on('data', (request: Buffer) => {
        if (request.subarray(0, 5).equals(PLAY)) guard.playing();
      });
    }
    pipeline(remote, guard ?? new PassThrough(), client, (error) => this.#ended(error));
    pipeline(client, remote, (error) => this.#ended(error));
  }

  #ended(error: NodeJS.ErrnoException | null | undefined): void {
    if (this.#closing || !error || error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    this.#failure ??= error.code === 'ECONNREFUSED' ? 'it refuses connections' : error.message;
  }
}

const PLAY = Buffer.from('PLAY ');
