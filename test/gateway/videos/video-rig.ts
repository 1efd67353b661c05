import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { pino } from 'pino';
import { vi } from 'vitest';
import { wantedModels } from '../../../gateway/cli/wanted-models.ts';
import { loadServerConfig, type S3Config } from '../../../gateway/config.ts';
import { Database } from '../../../gateway/database/database.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import type { EnrolmentForm } from '../../../gateway/identities/enrolment-form.ts';
import { Identities } from '../../../gateway/identities/identities.ts';
import { JobGateway } from '../../../gateway/jobs/job-gateway.ts';
import { createJobHandlers } from '../../../gateway/jobs/job-handlers.ts';
import { jobRoutes } from '../../../gateway/jobs/job-routes.ts';
import { Access } from '../../../gateway/live/access.ts';
import { objectRoutes } from '../../../gateway/objects/object-routes.ts';
import { openObjectStore } from '../../../gateway/objects/open-store.ts';
import { KEY_BYTES, Vault } from '../../../gateway/secrets/vault.ts';
import { VideoGateway } from '../../../gateway/videos/video-gateway.ts';
import { VideoJobs } from '../../../gateway/videos/video-jobs.ts';
import { videoPlaylistRoute, videoRoutes } from '../../../gateway/videos/video-routes.ts';
import { analyseFile, renderFile } from '../../../inference/blur-file.ts';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import type { ObjectStore } from '../../../recorder/store/object-store.ts';
import { probeVideo } from '../../../recorder/videos/probe.ts';
import type { VideoEngine } from '../../../recorder/videos/video-job.ts';

export interface RigOptions {
  readonly databaseUrl?: string | null;
  readonly redisUrl?: string | null;
  readonly s3?: S3Config | null;
  /** Jobs at a time in this process; 0: none. */
  readonly concurrency?: number;
  /** Goes over the real one. */
  readonly engine?: Partial<VideoEngine>;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a test reads of an answer. */
// biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: any };

/** The videos' half of the server with real parts, spoken to over HTTP. */
export class VideoRig {
  readonly url: string;
  readonly dataDir: string;
  readonly key: Buffer;
  readonly store: ObjectStore;
  readonly database: Database;
  readonly identities: Identities;
  readonly gateway: VideoGateway;
  readonly logged: { level: number; msg: string }[];
  /** How often the engine was asked for each. */
  readonly calls: { analyse: number; render: number };
  readonly #open: AsyncDisposableStack;

  static async open(options: RigOptions = {}): Promise<VideoRig> {
    const { databaseUrl = null, redisUrl = null, s3 = null, concurrency = 1 } = options;
    await using open = new AsyncDisposableStack();
    const dataDir = await mkdtemp(join(tmpdir(), 'faceblur-videos-'));
    open.defer(() => rm(dataDir, { recursive: true, force: true }));
    const environment = { HOME: process.env.HOME, XDG_CACHE_HOME: process.env.XDG_CACHE_HOME, DATA_DIR: dataDir };
    const loaded = loadServerConfig({ ...environment, ...options.environment });
    const config = { ...loaded, databaseUrl, redisUrl, s3, jobs: { ...loaded.jobs, concurrency } };
    const logged: { level: number; msg: string }[] = [];
    const log = pino({ level: 'trace' }, { write: (line) => logged.push(JSON.parse(line)) });
    const database = open.adopt(await Database.open({ dataDir, databaseUrl, log }), (d) => d.close());
    const key = randomBytes(KEY_BYTES);
    const vault = new Vault(createSecretKey(key));
    const store = open.adopt(await openObjectStore({ ...config, vault }), (s) => s.close());
    const images = open.adopt(new ImageEngine(config.modelLocations), (i) => i.close());
    const { recogniser } = wantedModels(config.modelLocations);
    const identities = await Identities.create({ store: database.identities, vault, images, recogniser, log });
    const calls = { analyse: 0, render: 0 };
    const real = { probe: probeVideo, analyse: analyseFile, render: renderFile, ...options.engine };
    const engine: VideoEngine = {
      probe: real.probe,
      analyse: (...args) => {
        calls.analyse++;
        return real.analyse(...args);
      },
      render: (...args) => {
        calls.render++;
        return real.render(...args);
      },
    };
    const work = open.adopt(await VideoJobs.open({ config, database, vault, store, engine, log }), (v) => v.close());
    const jobOptions = { config, store: database.jobs, handlers: createJobHandlers(work), log };
    const jobs = open.adopt(await JobGateway.create(jobOptions), (j) => j.close());
    const parts = { rows: database.videos, store, vault, jobs: jobs.queue, identities, log };
    const gateway = open.adopt(new VideoGateway(config, parts), (g) => g.close());

    const app = new Hono();
    const access = new Access({
      bind: '127.0.0.1',
      playTokens: { streamOf: async (token) => (token === 'play' ? 'x' : null) },
    });
    const routes = { ...gateway, videos: gateway.videos, access, publicUrl: null };
    app.route('/v1/videos', videoRoutes(routes));
    app.route('/', videoPlaylistRoute(routes));
    app.route('/v1/jobs', jobRoutes({ jobs: jobs.queue, access }));
    if (store instanceof LocalStore) app.route('/objects', objectRoutes({ store, log }));
    app.onError((error, c) => {
      const known = error instanceof GatewayError ? error : new GatewayError('internal', 'the server failed');
      if (known.status >= 500) log.error({ err: error }, 'request failed');
      return c.json({ error: { code: known.code, message: known.message } }, known.status);
    });
    const server = createAdaptorServer({ fetch: app.fetch, serverOptions: { requestTimeout: 0 } });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.defer(async () => {
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new VideoRig({ url, dataDir, key, store, database, identities, gateway, logged, calls }, open.move());
  }

  private constructor(
    parts: Pick<
      VideoRig,
      'url' | 'dataDir' | 'key' | 'store' | 'database' | 'identities' | 'gateway' | 'logged' | 'calls'
    >,
    open: AsyncDisposableStack,
  ) {
    this.url = parts.url;
    this.dataDir = parts.dataDir;
    this.key = parts.key;
    this.store = parts.store;
    this.database = parts.database;
    this.identities = parts.identities;
    this.gateway = parts.gateway;
    this.logged = parts.logged;
    this.calls = parts.calls;
    this.#open = open;
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      headers: { ...json, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
  }

  /** Makes a video and sends its bytes, as a client does. */
  async upload(bytes: Buffer, wanted: object = {}, headers: Record<string, string> = {}): Promise<string> {
    const made = await this.call('POST', '/v1/videos', { filename: 'in.mp4', size: bytes.length, ...wanted }, headers);
    if (made.status !== 201) throw new Error(`the video was refused: ${JSON.stringify(made.body)}`);
    const { url, method, headers: asked } = made.body.upload;
    const sent = await fetch(url, { method, headers: asked, body: bytes });
    if (!sent.ok) throw new Error(`the upload was answered ${sent.status}: ${await sent.text()}`);
    return made.body.id;
  }

  /** Uploads, completes and waits. */
  async analysed(bytes: Buffer, wanted: object = {}): Promise<string> {
    const id = await this.upload(bytes, wanted);
    const { status, body } = await this.call('POST', `/v1/videos/${id}/complete`);
    if (status !== 202) throw new Error(`completing was answered ${status}: ${JSON.stringify(body)}`);
    await this.reaches(id, 'ready');
    return id;
  }

  async rendered(id: string, policy?: object): Promise<void> {
    const { status, body } = await this.call('POST', `/v1/videos/${id}/render`, policy ? { policy } : {});
    if (status !== 202) throw new Error(`rendering was answered ${status}: ${JSON.stringify(body)}`);
    await this.reaches(id, 'done');
  }

  async state(id: string): Promise<Answer['body']> {
    return (await this.call('GET', `/v1/videos/${id}`)).body;
  }

  /** Waits until a video is in a state, or can't come to it any more. */
  reaches(id: string, state: string, limitMs = 60_000): Promise<Answer['body']> {
    return vi.waitFor(
      async () => {
        const video = await this.state(id);
        if (video.state !== state)
          throw new Error(`the video is ${video.state} and not ${state}: ${JSON.stringify(video)}`);
        return video;
      },
      { timeout: limitMs, interval: 50 },
    );
  }

  /** Follows a redirect of the API to what it leads to. */
  async fetched(path: string): Promise<Response> {
    const { status, headers, body } = await this.call('GET', path);
    if (status !== 302) throw new Error(`${path} was answered ${status}: ${JSON.stringify(body)}`);
    return fetch(new URL(headers.get('location')!, this.url));
  }

  async download(id: string, format: 'mp4' | 'report' = 'mp4'): Promise<Buffer> {
    return Buffer.from(await (await this.fetched(`/v1/videos/${id}/download?format=${format}`)).arrayBuffer());
  }

  /** Whom the faces' list shows by their numbers. */
  async faces(id: string): Promise<Answer['body'][]> {
    return (await this.call('GET', `/v1/videos/${id}/faces`)).body.items;
  }

  enrol(form: EnrolmentForm): Promise<{ readonly id: string }> {
    return this.identities.enrol(form, new AbortController().signal);
  }

  /** Keys of all objects there are. */
  async objects(): Promise<string[]> {
    const found = await Promise.all(
      (['original/local/', 'processed/local/', 'thumbnails/local/', 'temp/local/'] as const).map((prefix) =>
        this.store.list(prefix),
      ),
    );
    return found.flatMap(({ items }) => items.map(({ key }) => key));
  }

  /**
   * Files below the data folder, and what is in each. Not while other processes have the database open: SQLite's locks on
   * a file end when their process closes any descriptor of it.
   */
  async files(): Promise<{ path: string; bytes: Buffer }[]> {
    return Promise.all((await this.#paths()).map(async (path) => ({ path, bytes: await readFile(path) })));
  }

  /** Files that jobs have on disk. */
  async workFiles(): Promise<string[]> {
    return (await this.#paths()).filter((path) => path.includes('/work/'));
  }

  async #paths(): Promise<string[]> {
    const entries = await readdir(this.dataDir, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  }

  close(): Promise<void> {
    return this.#open.disposeAsync();
  }
}
