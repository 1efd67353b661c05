import type { Logger } from 'pino';
import { Puller } from '../../sfu/pull/puller.ts';
import type { LiveStream } from '../../sfu/stream-types.ts';

export interface PullsOptions {
  /** Whether addresses of this machine and its networks may be pulled from. */
  readonly allowPrivate: boolean;
  readonly log: Logger;
}

/** Keeps the sources of streams that have one connected. */
export class Pulls {
  readonly #options: PullsOptions;
  readonly #pullers = new Map<LiveStream, { readonly puller: Puller; readonly unobserve: () => void }>();

  constructor(options: PullsOptions) {
    this.#options = options;
  }

  added(live: LiveStream): void {
    const { source } = live.settings;
    if (source === null) return;
    const { allowPrivate } = this.#options;
    const log = this.#options.log.child({ streamId: live.id });
    const puller = new Puller({
      url: source,
      allowPrivate,
      onSource: (media) => live.publishSource(media),
      onState: (state, reason) => log.debug({ state, reason }, 'pull state'),
      log,
    });
    // Somebody with the key took the stream over, and has left.
    const unobserve = live.observe({ onState: (_from, to) => to === 'idle' && puller.resume() });
    this.#pullers.set(live, { puller, unobserve });
  }

  removed(live: LiveStream): void {
    const pull = this.#pullers.get(live);
    this.#pullers.delete(live);
    pull?.unobserve();
    void pull?.puller.close();
  }

  async close(): Promise<void> {
    const all = [...this.#pullers.values()];
    this.#pullers.clear();
    for (const { unobserve } of all) unobserve();
    await Promise.all(all.map(({ puller }) => puller.close()));
  }
}
