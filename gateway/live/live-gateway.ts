import type { Logger } from 'pino';
import { createLiveEngine } from '../../inference/live/create-live-engine.ts';
import { LiveEnginePool } from '../../inference/live/engine-pool.ts';
import { SfuError } from '../../sfu/errors.ts';
import { RtmpServer } from '../../sfu/rtmp/rtmp-server.ts';
import { Sfu } from '../../sfu/sfu.ts';
import { workerBinaryPath } from '../../sfu/worker-binary/locate.ts';
import type { ServerConfig } from '../config.ts';
import type { Database } from '../database/database.ts';
import { GatewayError } from '../errors.ts';
import type { Identities } from '../identities/identities.ts';
import { cannotListen } from '../listen.ts';
import { Access } from './access.ts';
import { PlayTokens } from './play-tokens.ts';
import { Pulls } from './pulls.ts';
import { type StreamHooks, Streams } from './streams.ts';
import { urlCheck } from './url-check.ts';

/** Expired play tokens are erased this often. */
const SWEEP_MS = 10 * 60_000;

/** What the live half works with, borrowed: open for as long as it is. */
export interface LiveGatewayParts {
  readonly database: Database;
  readonly identities: Identities;
  /** Left out where nothing is recorded. */
  readonly recordings?: StreamHooks;
  readonly log: Logger;
}

/** The live half: what the routes and sockets work on, composed, and closed in reverse order. */
export class LiveGateway {
  readonly streams: Streams;
  readonly access: Access;
  readonly playTokens: PlayTokens;
  readonly identities: Identities;
  readonly #sfu: Sfu;
  readonly #rtmp: RtmpServer;
  readonly #open: AsyncDisposableStack;
  #closing: Promise<void> | undefined;

  private constructor(
    parts: Pick<LiveGateway, 'streams' | 'access' | 'playTokens' | 'identities'> & {
      readonly sfu: Sfu;
      readonly rtmp: RtmpServer;
    },
    open: AsyncDisposableStack,
  ) {
    this.streams = parts.streams;
    this.access = parts.access;
    this.playTokens = parts.playTokens;
    this.identities = parts.identities;
    this.#sfu = parts.sfu;
    this.#rtmp = parts.rtmp;
    this.#open = open;
  }

  /** @throws GatewayError 'bad-config' | 'cannot-listen' */
  static async create(config: ServerConfig, parts: LiveGatewayParts): Promise<LiveGateway> {
    const { database, identities, recordings, log } = parts;
    await using open = new AsyncDisposableStack();
    const { host, modelLocations, allowPrivateSources: allowPrivate } = config;
    const playTokens = new PlayTokens(database.playTokens);
    const sweep = setInterval(() => {
      database.playTokens.sweep().catch((error) => log.error({ err: error }, 'play tokens could not be swept'));
    }, SWEEP_MS);
    open.defer(() => clearInterval(sweep));

    const models = { ...modelLocations, allowDownload: false };
    const pool = open.adopt(new LiveEnginePool(models), (p) => p.close());
    const sfu = open.adopt(await openSfu(config, pool, log), (s) => s.close());
    const pulls = open.adopt(new Pulls({ allowPrivate, log }), (p) => p.close());
    const check = urlCheck({ allowPrivate });
    const streams = await Streams.create({
      sfu,
      store: database.streams,
      people: identities,
      maxStreams: config.maxStreams,
      log,
      hooks: {
        added: (live) => {
          recordings?.added?.(live);
          pulls.added(live);
        },
        changed: (live) => recordings?.changed?.(live),
        removed: (live) => {
          pulls.removed(live);
          recordings?.removed?.(live);
        },
      },
      checkUrl: (url) => check(url),
    });
    identities.beforeErasure(({ id }) => streams.forgetPerson(id));
    const rtmp = open.adopt(await openRtmp(config, streams, log), (server) => server.close());
    const access = new Access({ bind: host, playTokens });
    return new LiveGateway({ streams, access, playTokens, identities, sfu, rtmp }, open.move());
  }

  /** The port that RTMP is listened for on. */
  get rtmpPort(): number {
    return this.#rtmp.port;
  }

  /** Whether streams can be served now. */
  get ready(): boolean {
    return this.#sfu.ready;
  }

  close(): Promise<void> {
    this.#closing ??= this.#open.disposeAsync();
    return this.#closing;
  }
}

async function openSfu(config: ServerConfig, pool: LiveEnginePool, log: Logger): Promise<Sfu> {
  const { host, rtc, rawPreview, allowPrivateSources: allowPrivate, modelLocations } = config;
  const models = { ...modelLocations, allowDownload: false };
  try {
    return await Sfu.create({
      workerBin: workerBinaryPath(rtc.workerBinary),
      count: rtc.workers,
      host: host === 'localhost' ? '127.0.0.1' : host,
      port: rtc.port,
      announcedAddress: rtc.announcedAddress,
      makeEngine: (options, hooks) => createLiveEngine({ ...options, models }, hooks, pool),
      rawPreview,
      allowPrivate,
      log,
    });
  } catch (error) {
    if (error instanceof SfuError) throw new GatewayError('cannot-listen', error.message, { cause: error });
    throw error;
  }
}

async function openRtmp({ host, rtmpPort }: ServerConfig, streams: Streams, log: Logger): Promise<RtmpServer> {
  try {
    return await RtmpServer.create({
      host,
      port: rtmpPort,
      authorize: async (stream, key) => streams.verifyKey(stream, key),
      onPublish: async (stream, source) => {
        const live = streams.find(stream);
        if (!live) throw new SfuError('not-found', 'there is no such stream');
        await live.publishSource(source);
      },
      log,
    });
  } catch (error) {
    throw cannotListen(error as NodeJS.ErrnoException, { host, port: rtmpPort, variable: 'RTMP_PORT' });
  }
}
