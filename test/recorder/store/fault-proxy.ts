import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is done to a request instead of handing it on, or to what comes of it. */
export type Fault =
  /** The connection is reset before anything is answered. */
  | { readonly kind: 'reset' }
  /** The request is handed on, and the connection reset when its answer comes. */
  | { readonly kind: 'lose-answer' }
  /** Nothing is ever answered. */
  | { readonly kind: 'silence' }
  /** Answered so, with an error as S3 writes it. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string; readonly retryAfterSeconds?: number }
  /** Handed on after a wait. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The answer's body ends, or only stops, after so many bytes. */
  | { readonly kind: 'cut'; readonly bytes: number }
  | { readonly kind: 'stall'; readonly bytes: number }
  /** One byte of the request's body is changed on the way. */
  | { readonly kind: 'damage' };

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly atMs: number;
}

/**
 * Stands before an S3 server and does what that one can't be made to do: `fault` is asked for each request. Signatures
 * hold, as it hands on the Host that was sent.
 */
export class FaultProxy {
  /** Null hands a request on. */
  fault: (request: SeenRequest) => Fault | null = () => null;
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #target: URL;

  static async start(target: string): Promise<FaultProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, new URL(target));
  }

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.#target = target;
    server.on('request', (incoming, outgoing) => void this.#handle(incoming, outgoing));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends every connection, as an outage does. */
  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const seen = { method, url, headers, atMs: performance.now() };
    this.seen.push(seen);
    const fault = this.fault(seen);
    if (fault?.kind === 'reset') return void incoming.socket.resetAndDestroy();
    if (fault?.kind === 'silence') return;
    if (fault?.kind === 'status') return refuse(incoming, outgoing, fault);
    if (fault?.kind === 'delay') await sleep(fault.ms);
    const { hostname, port } = this.#target;
    // Of a body that is cut or damaged the length stays, as on a real way.
    const onward = request({ hostname, port, method, path: url, headers, agent: false });
    onward.on('error', () => incoming.socket.destroy());
    onward.on('response', (answer) => {
      if (fault?.kind === 'lose-answer') return void incoming.socket.resetAndDestroy();
      // Whoever asked may be gone.
      if (outgoing.destroyed) return void answer.destroy();
      outgoing.writeHead(answer.statusCode!, answer.headers);
      if (fault?.kind === 'cut' || fault?.kind === 'stall') return void sendSome(answer, outgoing, fault);
      pipeline(answer, outgoing, () => undefined);
    });
    if (incoming.destroyed) onward.destroy();
    else if (fault?.kind === 'damage') void damaged(incoming, onward);
    else pipeline(incoming, onward, () => undefined);
  }
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code, retryAfterSeconds }: Extract<Fault, { kind: 'status' }>,
): void {
  incoming.resume();
  const retry = retryAfterSeconds === undefined ? {} : { 'Retry-After': `${retryAfterSeconds}` };
  outgoing.writeHead(status, { 'Content-Type': 'application/xml', ...retry });
  outgoing.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>as told</Message></Error>`);
}

async function sendSome(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  { kind, bytes }: Extract<Fault, { kind: 'cut' | 'stall' }>,
): Promise<void> {
  let left = bytes;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    outgoing.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) break;
  }
  if (kind === 'stall') return;
  // What was written is to leave first.
  await sleep(50);
  outgoing.socket?.resetAndDestroy();
}

async function damaged(incoming: IncomingMessage, onward: ReturnType<typeof request>): Promise<void> {
  let isFirst = true;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    if (isFirst) chunk[0]! ^= 1;
    isFirst = false;
    onward.write(chunk);
  }
  onward.end();
}
