import type { Logger } from 'pino';
import type { RawData, WebSocket } from 'ws';
import { GatewayError } from '../../errors.ts';
import { toGatewayError } from '../sfu-errors.ts';
import type { WebSocketLimits } from './limits.ts';
import { type RequestId, readJson, readMessage, requestIdOf } from './messages.ts';
import { RateLimit } from './rate-limit.ts';
import { Session, type SessionOptions } from './session.ts';
import type { ServerEvent } from './subscriptions.ts';

/** RFC 6455 §7.4.1, and 1013 of the IANA registry that it opens. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;

/** A client that has not answered our close by then is cut off. */
const CLOSE_MS = 1000;
/** Answers, which can't be dropped, may make what waits grow to this many times the bound. */
const ANSWER_ROOM = 4;

/** One client's WebSocket. Its messages are handled one by one, in order; while one is, no more are read. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #limits: WebSocketLimits;
  readonly #log: Logger;
  readonly #rate: RateLimit;
  readonly #session: Promise<Session>;
  readonly #waiting: (string | null)[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  readonly #ended: Promise<void>;
  #working = false;
  #open = true;
  #heardAtMs = performance.now();
  /** It was over its bound when the heart last beat. */
  #clogged = false;

  constructor(socket: WebSocket, options: SessionOptions, log: Logger) {
    this.#socket = socket;
    this.#limits = options.limits;
    this.#log = log;
    this.#rate = new RateLimit(options.limits.messagesPerSecond, performance.now());
    this.#session = Session.create(options, (event, droppable) => this.#tell(event, droppable));
    // Told to whoever sends the first message.
    this.#session.catch(() => {});
    this.#heartbeat = setInterval(() => this.#beat(), options.limits.silenceMs / 3);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => this.#heard());
    // A frame that breaks the protocol: `ws` ends the connection by itself, with the code for it.
    socket.on('error', (error) => log.debug({ err: error }, 'websocket failed'));
    this.#ended = new Promise((resolve) => socket.once('close', () => resolve(this.#end())));
  }

  /** When it is closed, and all that it made with it. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Says goodbye, and cuts off a client that does not answer. */
  close(): Promise<void> {
    this.#shut(GOING_AWAY, 'the server ends');
    return this.#ended;
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (!this.#open) return;
    this.#heard();
    if (!this.#rate.take(performance.now())) {
      this.#shut(POLICY_VIOLATION, 'too many messages');
      return;
    }
    this.#waiting.push(isBinary ? null : data.toString());
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    this.#socket.pause();
    for (let text = this.#waiting.shift(); text !== undefined && this.#open; text = this.#waiting.shift()) {
      await this.#handle(text);
    }
    this.#working = false;
    this.#socket.resume();
  }

  async #handle(text: string | null): Promise<void> {
    let id: RequestId | null = null;
    let type: string | undefined;
    try {
      if (text === null) throw new GatewayError('bad-request', 'a message is text, not binary');
      const value = readJson(text);
      id = requestIdOf(value);
      const message = readMessage(value);
      ({ type } = message);
      const answer = await (await this.#session).handle(message);
      if (id !== null) this.#answer({ ...answer, id, ok: true });
    } catch (thrown) {
      const error = toGatewayError(thrown);
      if (error.status >= 500) this.#log.error({ type, code: error.code, err: error.cause ?? error }, 'message failed');
      this.#answer({ id, ok: false, error: { code: error.code, message: error.message } });
    }
  }

  #answer(answer: Record<string, unknown>): void {
    if (!this.#open) return;
    this.#socket.send(JSON.stringify(answer));
    if (this.#socket.bufferedAmount > ANSWER_ROOM * this.#limits.maxBufferedBytes) this.#socket.terminate();
  }

  #tell(event: ServerEvent, droppable: boolean): void {
    if (!this.#open) return;
    if (this.#socket.bufferedAmount <= this.#limits.maxBufferedBytes) this.#socket.send(JSON.stringify(event));
    // What it believes of a stream would stay wrong; after it has connected again, it knows.
    else if (!droppable) this.#shut(TRY_AGAIN_LATER, 'too slow');
  }

  #beat(): void {
    const clogged = this.#socket.bufferedAmount > this.#limits.maxBufferedBytes;
    if ((clogged && this.#clogged) || performance.now() - this.#heardAtMs > this.#limits.silenceMs) {
      this.#socket.terminate();
      return;
    }
    this.#clogged = clogged;
    if (this.#open) this.#socket.ping();
  }

  #heard(): void {
    this.#heardAtMs = performance.now();
  }

  #shut(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#waiting.length = 0;
    this.#socket.close(code, reason);
    // Its answer must be read, even if a message was being handled.
    this.#socket.resume();
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref();
  }

  async #end(): Promise<void> {
    this.#open = false;
    this.#waiting.length = 0;
    clearInterval(this.#heartbeat);
    try {
      await (await this.#session).close();
    } catch (error) {
      this.#log.error({ err: error }, 'what a websocket made did not close');
    }
  }
}
