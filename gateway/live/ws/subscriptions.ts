import { hasEnded } from '../../../recorder/jobs/job.ts';
import type { JobQueue } from '../../../recorder/jobs/job-queue.ts';
import type { Recordings } from '../../../recorder/recording/recordings.ts';
import { GatewayError } from '../../errors.ts';
import { toJobError } from '../../jobs/job-errors.ts';
import { jobEvent, jobView } from '../../jobs/job-view.ts';
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
  /** Left out where there are no jobs. */
  readonly jobs?: Pick<JobQueue, 'watch'> | undefined;
  /** Left out where nothing is recorded. */
  readonly recordings?: Pick<Recordings, 'onState'> | undefined;
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
  #closed = false;

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
   * @returns how the stream or job is now; what changes is told from here on
   * @throws GatewayError 'stream-not-found' | 'job-not-found' | 'not-found' | 'forbidden' | 'too-many'
   */
  async add(topic: string): Promise<Record<string, unknown>> {
    const name = topic.toLowerCase();
    const [kind, id] = name.split(':') as [string, string];
    if (kind === 'job') return this.#addJob(name, id);
    if (kind !== 'stream') throw new GatewayError('not-found', 'there is no such topic');
    const { live } = this.#options.streams.get(id);
    demand(this.#options.grant(), 'play', id);
    if (!this.#topics.has(name)) {
      this.#demandRoom();
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
    this.#closed = true;
    this.#stopRemoved();
    for (const stop of this.#topics.values()) stop();
    this.#topics.clear();
  }

  #demandRoom(): void {
    const { maxSubscriptions } = this.#options;
    if (this.#topics.size < maxSubscriptions) return;
    throw new GatewayError('too-many', `a connection may have ${maxSubscriptions} subscriptions`);
  }

  /** Begins anew where there is one already, which tells how the job is now. */
  async #addJob(name: string, id: string): Promise<Record<string, unknown>> {
    const { grant, jobs, tell } = this.#options;
    demand(grant(), 'operate');
    if (!this.#topics.has(name)) this.#demandRoom();
    try {
      if (!jobs) throw new GatewayError('not-found', 'there is no such job');
      const { job, stop } = await jobs.watch(id, (news) => tell(jobEvent(news), !hasEnded(news)));
      this.remove(name);
      if (this.#closed) stop();
      else this.#topics.set(name, stop);
      return { topic: name, job: jobView(job) };
    } catch (error) {
      throw toJobError(error);
    }
  }

  #observe(stream: string): () => void {
    const { streams, recordings, tell, grant } = this.#options;
    const unsubscribe = recordings?.onState(({ stream: id, recording, state, reason }) => {
      if (id !== stream || !grant().scopes.has('operate')) return;
      tell({ type: 'stream.recording', stream, recording, state, reason }, false);
    });
    const unobserve = streams.get(stream).live.observe({
      onState: (from, state, reason) => tell({ type: 'stream.state', stream, state, from, reason }, false),
      onStats: (stats) => tell({ type: 'stream.stats', stream, stats }, true),
      onFaces: (faces) => {
        if (!grant().scopes.has('operate')) return;
        const shown = faces.map((face) => faceView(face, streams.people));
        tell({ type: 'stream.faces', stream, faces: shown }, true);
      },
    });
    return () => {
      unsubscribe?.();
      unobserve();
    };
  }
}
