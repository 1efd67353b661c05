import { GatewayError } from '../../errors.ts';
import { demand, type Grant } from '../access.ts';
import { faceView } from '../stream-view.ts';
import type { Streams } from '../streams.ts';

/** What is told without being asked. */
export interface ServerEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface SubscriptionsOptions {
  readonly streams: Streams;
  /** What the connection may see now. */
  readonly grant: () => Grant;
  /** @param droppable whether the next of its kind makes up for it */
  readonly tell: (event: ServerEvent, droppable: boolean) => void;
  readonly maxSubscriptions: number;
}

/** The topics that one connection hears of. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #topics = new Map<string, () => void>();
  readonly #stopRemoved: () => void;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#stopRemoved = options.streams.onRemoved((stream, from) => {
      if (!this.#topics.has(`stream:${stream}`)) return;
      this.remove(`stream:${stream}`);
      options.tell({ type: 'stream.state', stream, state: 'idle', from, reason: 'the stream was deleted' }, false);
    });
  }

  /**
   * @param topic `stream:ID` or `job:ID`
   * @returns how the stream is now; what changes is told from here on
   * @throws GatewayError 'stream-not-found' | 'not-found' | 'forbidden' | 'too-many'
   */
  add(topic: string): Record<string, unknown> {
    const name = topic.toLowerCase();
    const [kind, id] = name.split(':') as [string, string];
    if (kind !== 'stream') throw new GatewayError('not-found', `there is no such ${kind === 'job' ? 'job' : 'topic'}`);
    const { live } = this.#options.streams.get(id);
    demand(this.#options.grant(), 'play', id);
    if (!this.#topics.has(name)) {
      if (this.#topics.size >= this.#options.maxSubscriptions) {
        throw new GatewayError('too-many', `a connection may have ${this.#options.maxSubscriptions} subscriptions`);
      }
      this.#topics.set(name, this.#observe(id));
    }
    return { topic: name, state: live.state, reason: live.reason };
  }

  /** Does nothing where there is no such subscription. */
  remove(topic: string): void {
    const name = topic.toLowerCase();
    this.#topics.get(name)?.();
    this.#topics.delete(name);
  }

  close(): void {
    this.#stopRemoved();
    for (const stop of this.#topics.values()) stop();
    this.#topics.clear();
  }

  #observe(stream: string): () => void {
    const { streams, tell, grant } = this.#options;
    return streams.get(stream).live.observe({
      onState: (from, state, reason) => tell({ type: 'stream.state', stream, state, from, reason }, false),
      onStats: (stats) => tell({ type: 'stream.stats', stream, stats }, true),
      onFaces: (faces) => {
        if (!grant().scopes.has('operate')) return;
        const shown = faces.map((face) => faceView(face, streams.people));
        tell({ type: 'stream.faces', stream, faces: shown }, true);
      },
    });
  }
}
