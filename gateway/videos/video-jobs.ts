import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { analyseFile, renderFile } from '../../inference/blur-file.ts';
import type { KnownPerson } from '../../inference/policy.ts';
import { findFfmpeg } from '../../recorder/recording/ffmpeg.ts';
import type { ObjectStore } from '../../recorder/store/object-store.ts';
import { probeVideo } from '../../recorder/videos/probe.ts';
import type { VideoEngine, VideoJobParts } from '../../recorder/videos/video-job.ts';
import { WorkFolders } from '../../recorder/videos/work-folders.ts';
import { wantedModels } from '../cli/wanted-models.ts';
import type { ServerConfig } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { RecogniserId } from '../identities/identities.ts';
import type { IdentityStore } from '../identities/identity-store.ts';
import { SealedPerson } from '../identities/sealed-person.ts';
import { SealError, type Vault } from '../secrets/vault.ts';

/** Grows with what changes an analysis of the same video by the same models. */
const ANALYSIS_VERSION = 1;

export interface VideoJobsOptions {
  readonly config: Pick<ServerConfig, 'dataDir' | 'modelLocations' | 'videos' | 'ffmpegPath' | 'hlsTimeSeconds'>;
  /** Borrowed, as vault and store are. */
  readonly database: Pick<Database, 'videos' | 'identities'>;
  readonly vault: Vault;
  readonly store: ObjectStore;
  readonly engine?: VideoEngine;
  readonly log: Logger;
}

const ENGINE: VideoEngine = { probe: probeVideo, analyse: analyseFile, render: renderFile };

/** What a process that does jobs on videos has for it: the server, and `faceblur worker`. */
export class VideoJobs {
  readonly parts: VideoJobParts;

  /** @throws GatewayError 'bad-config'; RecorderError 'ffmpeg-failed'; an Error of the file system */
  static async open(options: VideoJobsOptions): Promise<VideoJobs> {
    const { config, database, vault, store, engine = ENGINE, log } = options;
    const { dataDir, modelLocations: models, videos, ffmpegPath, hlsTimeSeconds } = config;
    const { detector, recogniser } = wantedModels(models);
    const made = [ANALYSIS_VERSION, detector.name, detector.sha256, recogniser.name, recogniser.sha256];
    return new VideoJobs({
      ...{ rows: database.videos, store, sealer: vault, models, hlsTimeSeconds, engine },
      work: await WorkFolders.open(join(dataDir, 'work')),
      settings: createHash('sha256').update(made.join(' ')).digest('hex').slice(0, 32),
      limits: { maxSeconds: videos.maxSeconds },
      ffmpegPath: await findFfmpeg(ffmpegPath),
      people: (ids) => peopleOf(database.identities, vault, recogniser, ids, log),
    });
  }

  private constructor(parts: VideoJobParts) {
    this.parts = parts;
  }

  /** Once no job runs any more. */
  close(): Promise<void> {
    return this.parts.work.close();
  }
}

/** Read anew for each render: a worker would not hear of somebody who was erased or enrolled meanwhile. */
async function peopleOf(
  store: Pick<IdentityStore, 'list'>,
  vault: Vault,
  recogniser: RecogniserId,
  ids: readonly string[],
  log: Logger,
): Promise<{ recogniser: string; people: KnownPerson[] }> {
  const wanted = new Set(ids);
  const people: KnownPerson[] = [];
  for (const sealed of await store.list()) {
    const { id, model, modelSha256 } = sealed;
    if (!wanted.has(id) || model !== recogniser.name || modelSha256 !== recogniser.sha256) continue;
    try {
      const embeddings = new SealedPerson(sealed, vault).faces().map(({ embedding }) => embedding);
      if (embeddings.length > 0) people.push({ id, embeddings });
    } catch (error) {
      if (!(error instanceof SealError || error instanceof RangeError)) throw error;
      log.error({ identity: id, err: error }, 'identity can not be opened: its row was damaged; enrol the person anew');
    }
  }
  return { recogniser: recogniser.name, people };
}
