import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';

/** More than a handshake, a connect and a publish. */
const FIRST_BYTES = 10_000;

/** A way to a server that can be closed to one side: what comes is not read. */
export class Way {
  readonly #server: Server;
  readonly #clients = new Map<Socket, Socket>();
  /** What the client said first. */
  said = '';

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, '127.0.0.1');
      for (const socket of [client, server]) socket.on('error', () => undefined);
      this.#clients.set(client, server);
      client.on('data', (bytes: Buffer) => {
        if (this.said.length < FIRST_BYTES) this.said += bytes.toString('latin1');
      });
      client.pipe(server).pipe(client);
    });
    ways.add(this);
  }

  static async to(port: number): Promise<Way> {
    const way = new Way(port);
    await new Promise<void>((fulfil) => way.#server.listen(0, '127.0.0.1', fulfil));
    return way;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  stop(): void {
    for (const [client, server] of this.#clients) client.unpipe(server).pause();
  }

  go(): void {
    for (const [client, server] of this.#clients) client.pipe(server);
  }

  close(): void {
    this.#server.close();
    for (const sockets of this.#clients) for (const socket of sockets) socket.destroy();
  }
}

const ways = new Set<Way>();
afterEach(() => {
  for (const way of ways) way.close();
  ways.clear();
});
