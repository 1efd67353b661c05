import { join } from 'node:path';
import type { Logger } from 'pino';
import type { ImageEngine } from '../../inference/image/image-engine.ts';
import { stillModelNames } from '../../inference/image/still-model-names.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { GatewayError } from '../errors.ts';
import type { Vault } from '../secrets/vault.ts';
import { DiskCache } from './disk-cache.ts';
import { Intake, type IntakeLimits } from './intake.ts';
import { MemoryCache } from './memory-cache.ts';
import type { BodyLimits } from './read-body.ts';
import { ResultCache } from './result-cache.ts';
import { Stills } from './stills.ts';

/** One picture of the largest size in base64, or many photos. */
const BODY: BodyLimits = { maxBytes: 64_000_000, idleMs: 15_000, totalMs: 120_000 };
const INTAKE: IntakeLimits = { maxRequests: 16, maxBytes: 192_000_000 };
const MEMORY = { maxBytes: 32_000_000, maxEntries: 10_000 };
const DISK = { maxBytes: 256_000_000, maxEntries: 20_000 };

export interface StillGatewayOptions {
  /** Borrowed. */
  readonly images: ImageEngine;
  /** Those that `images` works with. */
  readonly models: ModelLocations;
  readonly dataDir: string;
  /** Seals what is kept on disk. */
  readonly vault: Vault;
  /** How long what was found in a picture is kept; 0: not at all. */
  readonly keptMs: number;
  readonly log: Logger;
}

/** What the routes of still pictures need: who answers, what was answered, and how many may wait. */
export class StillGateway {
  readonly stills: Stills;
  readonly intake: Intake;
  readonly limits: BodyLimits = BODY;
  readonly #cache: ResultCache;

  /** @throws GatewayError 'bad-config' where DATA_DIR can't be written to */
  static async create(options: StillGatewayOptions): Promise<StillGateway> {
    const { dataDir, vault, keptMs } = options;
    const bounds = keptMs > 0 ? DISK : { maxBytes: 0, maxEntries: 0 };
    const opening = DiskCache.open({ folder: join(dataDir, 'stills'), vault, ttlMs: keptMs, ...bounds });
    const disk = await opening.catch((error) => {
      throw new GatewayError('bad-config', `DATA_DIR cannot be written to (${error.code ?? error.message})`);
    });
    return new StillGateway(options, disk);
  }

  private constructor({ images, models, keptMs, log }: StillGatewayOptions, disk: DiskCache) {
    const bounds = keptMs > 0 ? MEMORY : { maxBytes: 0, maxEntries: 0 };
    this.#cache = new ResultCache({ memory: new MemoryCache({ ...bounds, ttlMs: keptMs }), disk, log });
    this.stills = new Stills({
      engine: images,
      cache: this.#cache,
      modelNames: () => stillModelNames(models),
    });
    this.intake = new Intake(INTAKE);
  }

  /** Erases all that is kept of these pictures. @param hashes SHA-256 of their bytes, in lower-case hex */
  async forget(hashes: readonly string[]): Promise<void> {
    for (const hash of hashes) await this.stills.forget(hash);
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#cache.close();
  }
}
