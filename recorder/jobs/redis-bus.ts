import type { Logger } from 'pino';
import { createClient } from 'redis';
import { RecorderError } from '../errors.ts';

export interface RedisBusOptions {
  /** A secret, as it may hold a password. */
  readonly url: string;
  /** What all keys and channels begin with. */
  readonly prefix: string;
  readonly log: Logger;
}

type Client = ReturnType<typeof openClient>;

const CONNECT_LIMIT_MS = 5_000;
const MAX_RECONNECT_MS = 2_000;
/** A server that does not answer pings for so long is gone, whatever the connection says. */
const SILENCE_LIMIT_MS = 15_000;
const PING_MS = 5_000;
/** Nobody waits longer for one answer. */
const ANSWER_LIMIT_MS = 1_500;
const MAX_MESSAGE_BYTES = 16_384;

/**
 * One connection for commands and one for what other nodes say. Lost ones are opened again, for as long as it takes;
 * meanwhile commands fail at once, and what is published is lost.
 */
export class RedisBus {
  readonly prefix: string;
  readonly client: Client;
  readonly #subscriber: Client;
  readonly #log: Logger;
  #closing: Promise<void> | undefined;
  /** The last question had no answer. */
  #isSilent = false;

  /** @throws RecorderError 'redis-unreachable' where there is no Redis to begin with, or it does not let us in */
  static async open({ url, prefix, log }: RedisBusOptions): Promise<RedisBus> {
    const state = { opened: false };
    const client = openClient(url, state);
    const subscriber = openClient(url, state);
    watch(client, state, log);
    watch(subscriber, state, log);
    try {
      await Promise.all([client.connect(), subscriber.connect()]);
    } catch (error) {
      for (const one of [client, subscriber]) if (one.isOpen) one.destroy();
      throw new RecorderError('redis-unreachable', `no Redis answers at ${hostOf(url)}: ${reasonOf(error, url)}`);
    }
    state.opened = true;
    return new RedisBus(prefix, client, subscriber, log);
  }

  private constructor(prefix: string, client: Client, subscriber: Client, log: Logger) {
    this.prefix = prefix;
    this.client = client;
    this.#subscriber = subscriber;
    this.#log = log;
  }

  /** Never fails: while Redis is away, nobody hears it. */
  publish(channel: string, text: string): void {
    this.client.publish(`${this.prefix}:${channel}`, text).catch((error) => {
      this.#log.debug({ err: error, channel }, 'not published');
    });
  }

  /** @throws what Redis does */
  async subscribe(channel: string, listener: (text: string) => void): Promise<void> {
    await this.#subscriber.subscribe(`${this.prefix}:${channel}`, (text) => {
      if (text.length <= MAX_MESSAGE_BYTES) listener(text);
    });
  }

  /**
   * Takes what only one node is to do for a while.
   * @returns whether this one got it
   * @throws what Redis does
   */
  async takeTurn(name: string, forMs: number): Promise<boolean> {
    const options = { condition: 'NX', expiration: { type: 'PX', value: forMs } } as const;
    return (await this.client.set(`${this.prefix}:turn:${name}`, '1', options)) !== null;
  }

  /**
   * What is asked of Redis, with an end to the waiting.
   * @throws RecorderError 'redis-unreachable' when no answer comes in time
   */
  async answer<T>(asked: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#isSilent = true;
        reject(new RecorderError('redis-unreachable', 'Redis does not answer'));
      }, ANSWER_LIMIT_MS);
    });
    try {
      const answer = await Promise.race([asked, late]);
      this.#isSilent = false;
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const clients = [this.client, this.#subscriber];
    const ends = clients.map(async (one) => one.isReady && !this.#isSilent && (await this.answer(one.close())));
    await Promise.allSettled(ends);
    // One that is lost, or does not answer, would wait for its end until it is back.
    for (const one of clients) if (one.isOpen) one.destroy();
  }
}

function openClient(url: string, state: { readonly opened: boolean }) {
  return createClient({
    url,
    // What is asked while Redis is away would wait in memory without end.
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    socket: {
      connectTimeout: CONNECT_LIMIT_MS,
      socketTimeout: SILENCE_LIMIT_MS,
      reconnectStrategy: (retries, cause) =>
        state.opened ? Math.min(MAX_RECONNECT_MS, 50 * 2 ** Math.min(retries, 10)) : cause,
    },
  });
}

/** One line when it is lost, one when it is back. */
function watch(client: Client, state: { readonly opened: boolean }, log: Logger): void {
  let lost = false;
  client.on('error', (error: Error & { code?: string }) => {
    if (lost || !state.opened) return;
    lost = true;
    log.error({ code: error.code ?? error.name }, 'Redis is away; trying to reach it again');
  });
  client.on('ready', () => {
    if (lost) log.info('Redis is back');
    lost = false;
  });
}

function hostOf(url: string): string {
  return URL.parse(url)?.host || 'its address';
}

/** A message that repeats the password is not told. */
function reasonOf(error: unknown, url: string): string {
  const { message = '', code } = error as { message?: string; code?: string };
  const password = URL.parse(url)?.password ?? '';
  const spoken = password !== '' && message.includes(decodeURIComponent(password)) ? '' : message;
  return [spoken, code].filter(Boolean)[0] ?? 'no answer';
}
