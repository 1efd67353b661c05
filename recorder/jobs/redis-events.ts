import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { JOB_KINDS, JOB_STATES, JOB_TIERS, type JobNews } from './job.ts';
import { type JobEvents, type JobListener, LocalJobEvents } from './job-events.ts';
import type { RedisBus } from './redis-bus.ts';

const CHANNEL = 'job-news';

const instant = z.iso.datetime().transform((text) => new Date(text));
const newsSchema = z.object({
  from: z.string(),
  news: z.object({
    id: z.string(),
    kind: z.enum(JOB_KINDS),
    tier: z.enum(JOB_TIERS),
    owner: z.string(),
    state: z.enum(JOB_STATES),
    stage: z.string().nullable(),
    progress: z.number(),
    attempts: z.int(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    cancelRequested: z.boolean(),
    revision: z.int(),
    createdAt: instant,
    startedAt: instant.nullable(),
    finishedAt: instant.nullable(),
  }),
});

/** News of all nodes that share a Redis. */
export class RedisJobEvents implements JobEvents {
  readonly #bus: RedisBus;
  readonly #local = new LocalJobEvents();
  readonly #node = randomUUID();

  /** @param bus borrowed. @throws what Redis does */
  static async open(bus: RedisBus): Promise<RedisJobEvents> {
    const events = new RedisJobEvents(bus);
    await bus.subscribe(CHANNEL, (text) => events.#receive(text));
    return events;
  }

  private constructor(bus: RedisBus) {
    this.#bus = bus;
  }

  publish(news: JobNews): void {
    this.#local.publish(news);
    this.#bus.publish(CHANNEL, JSON.stringify({ from: this.#node, news }));
  }

  subscribe(listener: JobListener): () => void {
    return this.#local.subscribe(listener);
  }

  close(): Promise<void> {
    return this.#local.close();
  }

  #receive(text: string): void {
    // Whatever a node of another version says that is not understood, the rows tell.
    const read = newsSchema.safeParse(parsed(text));
    if (read.success && read.data.from !== this.#node) this.#local.publish(read.data.news);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
