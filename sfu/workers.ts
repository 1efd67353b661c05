import { createWorker, type types } from 'mediasoup';
import type { Logger } from 'pino';
import { ROUTER_CODECS } from './codecs.ts';
import { SfuError } from './errors.ts';

export interface WorkersOptions {
  readonly workerBin: string;
  readonly count: number;
  /** Address to listen on. */
  readonly host: string;
  /** Worker i listens on port + i for UDP and TCP; 0 takes free ports. */
  readonly port: number;
  /** Address that peers are told instead of `host`; null for `host` itself. */
  readonly announcedAddress: string | null;
  readonly log: Logger;
}

/** A worker that was lost is replaced after so long; each loss in a row doubles it. */
const RESPAWN_MS = 100;
const MAX_RESPAWN_MS = 10_000;
/** A worker that ran so long was no failure to start. */
const STEADY_MS = 30_000;

/** One mediasoup worker process and the WebRtcServer that all its peers connect to. */
export class MediaWorker {
  readonly index: number;
  readonly worker: types.Worker;
  readonly webRtcServer: types.WebRtcServer;
  readonly #diedListeners = new Set<() => void>();

  constructor(index: number, worker: types.Worker, webRtcServer: types.WebRtcServer) {
    this.index = index;
    this.worker = worker;
    this.webRtcServer = webRtcServer;
    worker.once('died', () => {
      for (const listener of this.#diedListeners) listener();
      this.#diedListeners.clear();
    });
  }

  /** Streams and peers that use it now. */
  get load(): number {
    return this.#diedListeners.size;
  }

  get died(): boolean {
    return this.worker.closed;
  }

  /** @returns its unsubscribe */
  onDied(listener: () => void): () => void {
    this.#diedListeners.add(listener);
    return () => this.#diedListeners.delete(listener);
  }
}

/** The worker processes. One that dies is replaced; what ran on it has ended. */
export class Workers {
  /** What routers of `ROUTER_CODECS` can do; the same for each of them. */
  readonly capabilities: types.RtpCapabilities;
  readonly #options: WorkersOptions;
  readonly #slots: (MediaWorker | null)[];
  readonly #respawns = new Set<NodeJS.Timeout>();
  #closed = false;

  private constructor(options: WorkersOptions, first: MediaWorker, capabilities: types.RtpCapabilities) {
    this.#options = options;
    this.#slots = new Array<MediaWorker | null>(options.count).fill(null);
    this.#slots[0] = first;
    this.capabilities = capabilities;
  }

  /** @throws SfuError 'worker-missing' when a worker does not start or can't listen */
  static async create(options: WorkersOptions): Promise<Workers> {
    const first = await startWorker(options, 0);
    const router = await first.worker.createRouter({ mediaCodecs: ROUTER_CODECS });
    const workers = new Workers(options, first, router.rtpCapabilities);
    router.close();
    workers.#watch(first, 0);
    try {
      for (let index = 1; index < options.count; index++) {
        const worker = await startWorker(options, index);
        workers.#slots[index] = worker;
        workers.#watch(worker, 0);
      }
    } catch (error) {
      workers.close();
      throw error;
    }
    return workers;
  }

  get ready(): boolean {
    return !this.#closed && this.#slots.some((worker) => worker !== null);
  }

  /** The process ids of the workers that run. */
  get pids(): number[] {
    return this.#slots.flatMap((worker) => (worker ? [worker.worker.pid] : []));
  }

  /** The worker with the least on it. @throws SfuError 'worker-died' while none runs */
  pick(): MediaWorker {
    let best: MediaWorker | null = null;
    for (const worker of this.#slots) if (worker && (!best || worker.load < best.load)) best = worker;
    if (!best) throw new SfuError('worker-died', 'the media server is starting again; try again in a second');
    return best;
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#respawns) clearTimeout(timer);
    this.#respawns.clear();
    for (const worker of this.#slots) worker?.worker.close();
    this.#slots.fill(null);
  }

  /** @param failures losses in a row before this worker */
  #watch(worker: MediaWorker, failures: number): void {
    const startedAt = performance.now();
    worker.onDied(() => {
      if (this.#closed) return;
      this.#slots[worker.index] = null;
      const inARow = performance.now() - startedAt > STEADY_MS ? 0 : failures;
      this.#options.log.error({ worker: worker.index, pid: worker.worker.pid, inARow }, 'media worker died');
      this.#respawn(worker.index, inARow);
    });
  }

  #respawn(index: number, failures: number): void {
    const timer = setTimeout(
      async () => {
        this.#respawns.delete(timer);
        try {
          const worker = await startWorker(this.#options, index);
          if (this.#closed) {
            worker.worker.close();
            return;
          }
          this.#slots[index] = worker;
          this.#watch(worker, failures + 1);
          this.#options.log.info({ worker: index, pid: worker.worker.pid }, 'media worker replaced');
        } catch (error) {
          this.#options.log.error({ worker: index, err: error }, 'media worker could not be replaced');
          if (!this.#closed) this.#respawn(index, failures + 1);
        }
      },
      Math.min(MAX_RESPAWN_MS, RESPAWN_MS * 2 ** failures),
    );
    this.#respawns.add(timer);
  }
}

/**
 * Closes a router and the transports on it. Transports first: mediasoup's WebRtcServer keeps those whose router closes
 * before them, and all that hangs on them, for as long as it lives. Owners hear 'routerclose' all the same.
 */
export function closeRouter(router: types.Router, transports: Iterable<types.WebRtcTransport>): void {
  const open = [...transports];
  for (const transport of open) {
    transport.emit('routerclose');
    transport.close();
  }
  router.close();
}

async function startWorker(options: WorkersOptions, index: number): Promise<MediaWorker> {
  const { workerBin, host, announcedAddress } = options;
  const port = options.port === 0 ? {} : { port: options.port + index };
  let worker: types.Worker | undefined;
  try {
    worker = await createWorker({ workerBin, logLevel: 'warn' });
    const announced = announcedAddress === null ? {} : { announcedAddress };
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: (['udp', 'tcp'] as const).map((protocol) => ({ protocol, ip: host, ...announced, ...port })),
    });
    return new MediaWorker(index, worker, webRtcServer);
  } catch (cause) {
    worker?.close();
    const where = options.port === 0 ? `a free port of ${host}` : `${host}:${options.port + index}`;
    const message = worker
      ? `the media server can't listen on ${where} (UDP and TCP); set RTC_PORT to another port`
      : `the media server ${workerBin} does not start; run npm run setup`;
    throw new SfuError('worker-missing', message, { cause });
  }
}
