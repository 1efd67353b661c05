import type { ViewerReport } from '../bitrate.ts';
import { SfuError } from '../errors.ts';
import type { RedactedOutput } from './redacted-output.ts';
import type { OfferedTypes, ViewGroup } from './view-group.ts';
import { Viewer } from './viewer.ts';

const MAX_VIEWERS = 1000;
/** Viewers asked for their network's state at a time: with more, each is asked every so many seconds. */
const REPORTS_AT_A_TIME = 32;

/** Everyone who watches one output. A group of viewers lives as long as someone is in it. */
export class Audience {
  readonly #output: RedactedOutput;
  readonly #viewers = new Set<Viewer>();
  readonly #inGroup = new Map<ViewGroup, number>();
  #entering = 0;
  #turn = 0;

  constructor(output: RedactedOutput) {
    this.#output = output;
  }

  get size(): number {
    return this.#viewers.size;
  }

  /** @throws SfuError 'too-many' | 'closed' */
  async enter(offered: OfferedTypes, iceConsentTimeout: number): Promise<Viewer> {
    if (this.#viewers.size + this.#entering >= MAX_VIEWERS) {
      throw new SfuError('too-many', `${MAX_VIEWERS} viewers watch this stream already`);
    }
    this.#entering++;
    try {
      const group = await this.#output.group(offered);
      this.#count(group, 1);
      try {
        const viewer = await Viewer.create(group, iceConsentTimeout);
        this.#viewers.add(viewer);
        viewer.transport.observer.once('close', () => {
          this.#viewers.delete(viewer);
          this.#count(group, -1);
        });
        return viewer;
      } catch (error) {
        this.#count(group, -1);
        throw new SfuError('closed', 'the stream has ended', { cause: error });
      }
    } finally {
      this.#entering--;
    }
  }

  /** What some of them report, others the next time. */
  async reports(): Promise<ViewerReport[]> {
    const all = [...this.#viewers];
    const asked = Array.from({ length: Math.min(all.length, REPORTS_AT_A_TIME) }, (_, i) => {
      return all[(this.#turn + i) % all.length]!;
    });
    this.#turn = (this.#turn + asked.length) % Math.max(1, all.length);
    const settled = await Promise.allSettled(asked.map((viewer) => viewer.report()));
    // One that leaves while it is asked has nothing to say.
    return settled.flatMap((report) => (report.status === 'fulfilled' ? [report.value] : []));
  }

  #count(group: ViewGroup, change: 1 | -1): void {
    const now = (this.#inGroup.get(group) ?? 0) + change;
    if (now > 0) {
      this.#inGroup.set(group, now);
      return;
    }
    this.#inGroup.delete(group);
    this.#output.release(group);
  }
}
