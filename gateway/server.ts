import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import type { Logger } from 'pino';
import type { blurFile } from '../inference/blur-file.ts';
import { ImageEngine } from '../inference/image/image-engine.ts';
import type { ObjectStore } from '../recorder/store/object-store.ts';
import { createApp } from './app.ts';
import { wantedModels } from './cli/wanted-models.ts';
import type { ServerConfig } from './config.ts';
import { Database } from './database/database.ts';
import { Clips } from './demo/clips.ts';
import { GatewayError } from './errors.ts';
import { Identities } from './identities/identities.ts';
import { JobGateway } from './jobs/job-gateway.ts';
import { createJobHandlers } from './jobs/job-handlers.ts';
import { cannotListen } from './listen.ts';
import { LiveGateway } from './live/live-gateway.ts';
import { attachWebSocket } from './live/websocket.ts';
import { ObjectSweeper } from './objects/object-sweeper.ts';
import { openObjectStore } from './objects/open-store.ts';
import { RecordingGateway } from './recordings/recording-gateway.ts';
import { openVault } from './secrets/open-vault.ts';
import { StillGateway } from './stills/still-gateway.ts';
import { VideoGateway } from './videos/video-gateway.ts';
import { VideoJobs } from './videos/video-jobs.ts';

/** Answers in flight may take this long to end when the server closes. */
const DRAIN_MS = 1000;

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly blurFile: typeof blurFile;
  /** Resolves when the detector's weights are at hand. */
  readonly ready: () => Promise<unknown>;
  readonly log: Logger;
}

interface ServerParts {
  readonly http: ServerType;
  readonly sockets: { close(): Promise<void> };
  readonly live: LiveGateway;
  readonly recording: RecordingGateway;
  readonly clips: Clips;
  readonly images: ImageEngine;
  readonly stills: StillGateway;
  readonly jobs: JobGateway;
  readonly videoJobs: VideoJobs;
  readonly videos: VideoGateway;
  readonly objects: ObjectStore;
  readonly sweeper: ObjectSweeper;
  readonly database: Database;
}

/** The running gateway: composes configuration, clips, streams, routes and the servers; closes them in reverse order. */
export class Server {
  readonly #parts: ServerParts;
  #closing: Promise<void> | undefined;

  /** @throws GatewayError 'cannot-listen' (port in use, or not ours to take) | 'bad-config' (DATA_DIR not writable) */
  static async create({ config, blurFile, ready, log }: ServerOptions): Promise<Server> {
    await using open = new AsyncDisposableStack();
    const { modelLocations: models, dataDir, publicUrl, corsOrigins, rawPreview } = config;
    const making = Clips.create({ ...config.clips, dataDir, models, blurFile, log }).catch((error) => {
      throw new GatewayError('bad-config', `DATA_DIR cannot be written to (${error.code ?? error.message})`);
    });
    const clips = open.adopt(await making, (c) => c.close());
    const { host: bind, databaseUrl, encryptionKey: key } = config;
    const database = open.adopt(await Database.open({ dataDir, databaseUrl, log }), (d) => d.close());
    const vault = await openVault({ key, dataDir, bind, check: database.sealCheck, log });
    const objects = open.adopt(await openObjectStore({ ...config, vault }), (o) => o.close());
    const sweeper = open.adopt(new ObjectSweeper(objects, log), (s) => s.close());
    const localModels = { ...models, allowDownload: false };
    const images = open.adopt(new ImageEngine(localModels, (message) => log.warn(message)), (i) => i.close());
    const { recogniser } = wantedModels(models);
    const identities = await Identities.create({ store: database.identities, vault, images, recogniser, log });
    const stillOptions = { images, models: localModels, dataDir, vault, keptMs: config.stillsKeptMs, log };
    const stills = open.adopt(await StillGateway.create(stillOptions), (s) => s.close());
    identities.beforeErasure(({ photoHashes }) => stills.forget(photoHashes));
    const recordingParts = { store: objects, rows: database.recordings, vault, log };
    const recording = open.adopt(await RecordingGateway.create(config, recordingParts), (r) => r.close());
    const { recordings } = recording;
    const liveParts = { database, identities, recordings, log };
    const live = open.adopt(await LiveGateway.create(config, liveParts), (l) => l.close());
    const workParts = { config, database, vault, store: objects, log };
    const videoJobs = open.adopt(await VideoJobs.open(workParts), (v) => v.close());
    const jobOptions = { config, store: database.jobs, handlers: createJobHandlers(videoJobs), log };
    const jobs = open.adopt(await JobGateway.create(jobOptions), (j) => j.close());
    const videoParts = { rows: database.videos, store: objects, vault, jobs: jobs.queue, identities, log };
    const videos = open.adopt(new VideoGateway(config, videoParts), (v) => v.close());
    const parts = { clips, live, stills, jobs: jobs.queue, objects, recording, videos };
    const { fetch } = createApp({ ...parts, publicUrl, corsOrigins, ready, log });
    // Uploads of any length are welcome while they move: `clips` ends idle ones itself.
    const http = createAdaptorServer({ fetch, serverOptions: { requestTimeout: 0 } });
    await listen(http, config);
    open.move();
    const { streams, access } = live;
    // Over HTTP other sites get what the contract opens to them; a socket on loopback may do everything.
    const sockets = attachWebSocket(http, {
      streams,
      jobs: jobs.queue,
      recordings,
      access,
      allowedOrigins: [],
      rawPreview,
      log,
    });
    return new Server({
      http,
      sockets,
      live,
      recording,
      clips,
      images,
      stills,
      jobs,
      videoJobs,
      videos,
      objects,
      sweeper,
      database,
    });
  }

  private constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** Where it listens, for example `http://127.0.0.1:8080`. */
  get url(): string {
    const { address, family, port } = this.#parts.http.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** The port that RTMP is listened for on. */
  get rtmpPort(): number {
    return this.#parts.live.rtmpPort;
  }

  /** Stops listening, ends streams and jobs, erases clips and ends every connection. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { http, sockets, live, recording, clips, images, stills, jobs, objects, database } = this.#parts;
    const { videos, videoJobs, sweeper } = this.#parts;
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    await sockets.close();
    await images.close();
    await stills.close();
    await videos.close();
    // While streams still run: what they have sent is recorded to its end.
    await recording.close();
    await Promise.all([live.close(), clips.close(), jobs.close()]);
    await videoJobs.close();
    await Promise.all([objects.close(), sweeper.close()]);
    await database.close();
    const timer = setTimeout(() => 'closeAllConnections' in http && http.closeAllConnections(), DRAIN_MS);
    await closed;
    clearTimeout(timer);
  }
}

function listen(http: ServerType, { host, port }: ServerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => reject(cannotListen(error, { host, port, variable: 'PORT' }));
    http.once('error', refuse);
    http.listen(port, host, () => resolve());
  });
}
