import type { JobQueue } from '../../../recorder/jobs/job-queue.ts';
import type { Recordings } from '../../../recorder/recording/recordings.ts';
import type { Access, Grant } from '../access.ts';
import type { Streams } from '../streams.ts';
import type { WebSocketLimits } from './limits.ts';
import type { ClientMessage } from './messages.ts';
import { RtcPeers } from './rtc-peers.ts';
import { type ServerEvent, Subscriptions } from './subscriptions.ts';

export interface SessionOptions {
  readonly streams: Streams;
  /** Left out where there are no jobs. */
  readonly jobs?: Pick<JobQueue, 'watch'> | undefined;
  /** Left out where nothing is recorded. */
  readonly recordings?: Pick<Recordings, 'onState'> | undefined;
  readonly access: Access;
  readonly rawPreview: boolean;
  readonly limits: WebSocketLimits;
}

/** What one connection is about: who it is, what it hears of, what it publishes and watches. */
export class Session {
  readonly #access: Access;
  readonly #subscriptions: Subscriptions;
  readonly #peers: RtcPeers;
  #grant: Grant;

  /** @param tell sends an event; `droppable` where the next of its kind makes up for it */
  static async create(
    options: SessionOptions,
    tell: (event: ServerEvent, droppable: boolean) => void,
  ): Promise<Session> {
    return new Session(options, tell, await options.access.grantOf(null));
  }

  private constructor(
    { streams, jobs, recordings, access, rawPreview, limits }: SessionOptions,
    tell: (event: ServerEvent, droppable: boolean) => void,
    grant: Grant,
  ) {
    this.#access = access;
    this.#grant = grant;
    const shared = { streams, tell, grant: () => this.#grant };
    this.#subscriptions = new Subscriptions({ ...shared, jobs, recordings, maxSubscriptions: limits.maxSubscriptions });
    this.#peers = new RtcPeers({ ...shared, rawPreview, maxPeers: limits.maxPeers });
  }

  /**
   * Does what a message asks for.
   * @returns what its answer holds besides `id` and `ok`
   * @throws GatewayError | SfuError
   */
  async handle(message: ClientMessage): Promise<Record<string, unknown>> {
    switch (message.type) {
      case 'auth':
        this.#grant = await this.#access.grantOf(message.token);
        return {};
      case 'subscribe':
        return this.#subscriptions.add(message.topic);
      case 'unsubscribe':
        this.#subscriptions.remove(message.topic);
        return {};
      case 'rtc.capabilities':
        return this.#peers.capabilities(message);
      case 'rtc.createTransport':
        return this.#peers.createTransport(message);
      case 'rtc.connect':
        await this.#peers.connect(message);
        return {};
      case 'rtc.produce':
        return this.#peers.produce(message);
      case 'rtc.consume':
        return this.#peers.consume(message);
      case 'rtc.resume':
        await this.#peers.resume(message);
        return {};
      case 'rtc.close':
        await this.#peers.closePart(message);
        return {};
    }
  }

  async close(): Promise<void> {
    this.#subscriptions.close();
    await this.#peers.close();
  }
}
