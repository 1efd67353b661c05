import type { Logger } from 'pino';
import type { JobQueue } from '../../recorder/jobs/job-queue.ts';
import type { ObjectStore } from '../../recorder/store/object-store.ts';
import type { ServerConfig } from '../config.ts';
import type { VideoRepository } from '../database/video-repository.ts';
import { GatewayError } from '../errors.ts';
import { type Identities, MAX_IDENTITIES } from '../identities/identities.ts';
import { LinkSigner } from '../recordings/link-signer.ts';
import type { Vault } from '../secrets/vault.ts';
import { eraseOrphans } from './orphans.ts';
import { OWNER } from './video-routes.ts';
import { Videos } from './videos.ts';

/** What it works with, borrowed: open for as long as it is. */
export interface VideoGatewayParts {
  readonly rows: VideoRepository;
  readonly store: ObjectStore;
  readonly vault: Vault;
  readonly jobs: JobQueue;
  readonly identities: Identities;
  readonly log: Logger;
}

const SWEEP_MS = 10 * 60_000;
/** Every so many sweeps objects are looked through as well. */
const SWEEPS_A_LOOK = 6;
/** Erased at a time; the rest with the next sweep. */
const MAX_SWEPT = 100;
/** An upload that ends at the last moment is completed by then. */
const GRACE_MS = 3_600_000;

/** Uploaded videos, composed: what their routes work on, and who erases those past their time. */
export class VideoGateway {
  readonly videos: Videos;
  readonly store: ObjectStore;
  readonly links: LinkSigner;
  readonly retentionMs: number | null;
  readonly nameOf: (identity: string) => string | null;
  readonly #rows: VideoRepository;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void>;
  #sweeps = 0;
  #isClosed = false;

  constructor({ videos, retentionMs }: Pick<ServerConfig, 'videos' | 'retentionMs'>, parts: VideoGatewayParts) {
    const { rows, store, vault, jobs, identities, log } = parts;
    const people = {
      recogniser: identities.recogniser,
      has: (id: string) => identities.has(id),
      personOf: (id: string) => identities.personOf(id),
      nameOf: (id: string) => identities.nameOf(id),
      all: () => identities.list(MAX_IDENTITIES).entries.flatMap(({ id }) => identities.personOf(id) ?? []),
    };
    this.videos = new Videos({ ...{ rows, store, sealer: vault, jobs, people, log }, maxBytes: videos.maxBytes });
    this.store = store;
    this.links = new LinkSigner(vault.deriveKey('video addresses'));
    this.retentionMs = retentionMs;
    this.nameOf = people.nameOf;
    this.#rows = rows;
    this.#log = log;
    this.#sweeping = this.sweep();
    this.#timer = setInterval(() => {
      this.#sweeping = this.sweep();
    }, SWEEP_MS);
  }

  /**
   * Erases videos that are past their time, those that were never uploaded, and objects of those that are gone. Safe on
   * several nodes at once.
   */
  async sweep(now = Date.now()): Promise<void> {
    const madeBefore = this.retentionMs === null ? null : new Date(now - this.retentionMs);
    try {
      const expired = { madeBefore, uploadableUntil: new Date(now - GRACE_MS), limit: MAX_SWEPT };
      for (const { owner, id } of await this.#rows.expired(expired)) {
        if (this.#isClosed) return;
        await this.videos.remove(owner, id).catch(unlessGone);
        this.#log.info({ video: id }, 'video past its time');
      }
      if (this.#sweeps++ % SWEEPS_A_LOOK > 0) return;
      const orphans = await eraseOrphans(OWNER, this.store, this.#rows);
      if (orphans > 0) this.#log.info({ orphans }, 'objects of videos that are gone erased');
    } catch (error) {
      this.#log.error({ err: error }, 'videos past their time could not be erased');
    }
  }

  /** Waits for what is being erased. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#sweeping;
  }
}

/** Another node was first. */
function unlessGone(error: unknown): void {
  if (!(error instanceof GatewayError && error.code === 'video-not-found')) throw error;
}
