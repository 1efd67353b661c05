import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { findFfmpeg } from '../../recorder/recording/ffmpeg.ts';
import { Recordings } from '../../recorder/recording/recordings.ts';
import type { ObjectStore } from '../../recorder/store/object-store.ts';
import type { ServerConfig } from '../config.ts';
import type { RecordingRepository } from '../database/recording-repository.ts';
import { GatewayError } from '../errors.ts';
import type { Vault } from '../secrets/vault.ts';
import { LinkSigner } from './link-signer.ts';

export interface RecordingGatewayParts {
  readonly store: ObjectStore;
  readonly rows: RecordingRepository;
  readonly vault: Pick<Vault, 'deriveKey'>;
  readonly log: Logger;
}

/** Recordings and live HLS: what their routes work on. Borrows its parts. */
export class RecordingGateway {
  readonly recordings: Recordings;
  readonly rows: RecordingRepository;
  readonly store: ObjectStore;
  readonly links: LinkSigner;

  private constructor(recordings: Recordings, { rows, store, vault }: RecordingGatewayParts) {
    this.recordings = recordings;
    this.rows = rows;
    this.store = store;
    this.links = new LinkSigner(vault.deriveKey('recording addresses'));
  }

  /** @throws GatewayError 'bad-config' where there is no ffmpeg to run */
  static async create(
    config: Pick<ServerConfig, 'dataDir' | 'hlsTimeSeconds' | 'ffmpegPath'>,
    parts: RecordingGatewayParts,
  ): Promise<RecordingGateway> {
    const { store, rows, log } = parts;
    const recordings = await Recordings.create({
      ...{ store, rows, log },
      folder: join(config.dataDir, 'spool'),
      ffmpegPath: await ffmpegOf(config.ffmpegPath),
      segmentMs: config.hlsTimeSeconds * 1000,
    });
    return new RecordingGateway(recordings, parts);
  }

  close(): Promise<void> {
    return this.recordings.close();
  }
}

async function ffmpegOf(configured: string | null): Promise<string> {
  try {
    const path = await findFfmpeg(configured);
    await access(path, constants.X_OK);
    return path;
  } catch (error) {
    throw new GatewayError('bad-config', 'FFMPEG_PATH must be set to an ffmpeg that can be run', { cause: error });
  }
}
