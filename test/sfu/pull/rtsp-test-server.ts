import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { FfmpegProcess } from '../rtmp/ffmpeg-process.ts';
import { until } from '../rtmp/until.ts';

interface Request {
  readonly method: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * An RTSP server over TCP (RFC 2326): who announces and records is relayed to who plays, packets interleaved (§10.12).
 * FFmpeg's own RTSP muxer is the publisher, so that descriptions and packets are real ones.
 */
export class RtspTestServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #players = new Set<Socket>();
  #description = '';
  /** Requests that players made. */
  readonly requests: string[] = [];
  /** Transport headers that were asked for. */
  readonly transports: string[] = [];
  /** Answers a DESCRIBE in place of the description. */
  describe: string | null = null;
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(port = 0): Promise<RtspTestServer> {
    const server = createServer((socket) => made.#connected(socket));
    const made: RtspTestServer = new RtspTestServer(server);
    await new Promise<void>((fulfil) => server.listen(port, '127.0.0.1', fulfil));
    open.add(made);
    return made;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `rtsp://127.0.0.1:${this.port}/cam`;
  }

  get players(): number {
    return this.#players.size;
  }

  /** Starts an ffmpeg that publishes to it, over and over. */
  async publish(...input: string[]): Promise<FfmpegProcess> {
    const publisher = await FfmpegProcess.start(
      ...['-re', '-stream_loop', '-1', ...input, '-f', 'rtsp', '-rtsp_transport', 'tcp', this.url],
    );
    await until(() => this.#description !== '' || !publisher.isRunning, 'a publisher');
    return publisher;
  }

  /** Cuts everybody off, and listens no more. */
  async close(): Promise<void> {
    const closed = new Promise((fulfil) => this.#server.close(fulfil));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #connected(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    let buffered: Buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#players.delete(socket);
    });
    socket.on('data', (bytes: Buffer) => {
      buffered = this.#read(socket, Buffer.concat([buffered, bytes]));
    });
  }

  /** @returns what is not complete yet */
  #read(socket: Socket, bytes: Buffer): Buffer {
    for (;;) {
      if (bytes[0] === 0x24) {
        if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt16BE(2)) return bytes;
        const frame = bytes.subarray(0, 4 + bytes.readUInt16BE(2));
        if (!this.#players.has(socket)) for (const player of this.#players) player.write(frame);
        bytes = bytes.subarray(frame.length);
        continue;
      }
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return bytes;
      const [first = '', ...lines] = bytes.toString('utf8', 0, end).split('\r\n');
      const headers = new Map(lines.map((line) => line.toLowerCase().split(/:\s*(.*)/s, 2) as [string, string]));
      const length = Number(headers.get('content-length') ?? 0);
      if (bytes.length < end + 4 + length) return bytes;
      const body = bytes.toString('utf8', end + 4, end + 4 + length);
      bytes = bytes.subarray(end + 4 + length);
      this.#answer(socket, { method: first.split(' ')[0]!, headers, body });
    }
  }

  #answer(socket: Socket, { method, headers, body }: Request): void {
    const reply = (lines: readonly string[] = [], text = ''): void => {
      const head = ['RTSP/1.0 200 OK', `CSeq: ${headers.get('cseq')}`, 'Session: 1', ...lines];
      if (text) head.push('Content-Type: application/sdp', `Content-Length: ${text.length}`);
      socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
    };
    if (method !== 'ANNOUNCE' && method !== 'RECORD') this.requests.push(method);
    switch (method) {
      case 'ANNOUNCE':
        reply();
        this.#description = body;
        break;
      case 'DESCRIBE':
        if (this.describe === null) reply([], this.#description);
        else socket.write(this.describe.replace('{cseq}', headers.get('cseq') ?? ''));
        break;
      case 'SETUP':
        this.transports.push(headers.get('transport') ?? '');
        reply([`Transport: ${headers.get('transport')?.replace(/;mode=\w+/, '')}`]);
        break;
      case 'PLAY':
        reply();
        this.#players.add(socket);
        break;
      default:
        reply(method === 'OPTIONS' ? ['Public: DESCRIBE, SETUP, PLAY, ANNOUNCE, RECORD'] : []);
    }
  }
}

const open = new Set<RtspTestServer>();

afterEach(async () => {
  await Promise.all([...open].map((server) => server.close()));
  open.clear();
});
