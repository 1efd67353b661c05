import pino from 'pino';
import { afterEach } from 'vitest';
import type { MediaSource } from '../../../sfu/media-source.ts';
import { Puller, type PullerOptions, type PullState } from '../../../sfu/pull/puller.ts';
import { RecordingSink } from '../rtmp/recording-sink.ts';

/** Quick enough for a test, and still growing. */
const BACKOFF = { firstMs: 100, maxMs: 400, steadyMs: 2_000 };

/** A puller that keeps its sources and states, and is closed with the test. */
export class PullerUnderTest {
  readonly sources: MediaSource[] = [];
  readonly sinks: RecordingSink[] = [];
  readonly states: { readonly state: PullState; readonly reason: string | null }[] = [];
  readonly logged: string[] = [];
  readonly puller: Puller;

  constructor(url: string, options: Partial<PullerOptions> = {}) {
    this.puller = new Puller({
      url,
      allowPrivate: true,
      onSource: async (source) => {
        this.sources.push(source);
        this.sinks.push(RecordingSink.of(source));
      },
      onState: (state, reason) => this.states.push({ state, reason }),
      log: pino({ level: 'trace' }, { write: (line: string) => this.logged.push(line) }),
      backoff: BACKOFF,
      ...options,
    });
    open.add(this.puller);
  }

  /** Why it waited. */
  get reasons(): string[] {
    return this.states.flatMap(({ state, reason }) => (state === 'waiting' && reason !== null ? [reason] : []));
  }
}

const open = new Set<Puller>();

afterEach(async () => {
  await Promise.all([...open].map((puller) => puller.close()));
  open.clear();
});
