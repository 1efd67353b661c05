import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import type { Logger } from 'pino';
import type { blurFile } from '../inference/blur-file.ts';
import { createApp } from './app.ts';
import type { ServerConfig } from './config.ts';
import { Clips } from './demo/clips.ts';
import { GatewayError } from './errors.ts';

/** Answers in flight may take this long to end when the server closes. */
const DRAIN_MS = 1000;

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly blurFile: typeof blurFile;
  /** Resolves when the detector's weights are at hand. */
  readonly ready: () => Promise<unknown>;
  readonly log: Logger;
}

/** The running gateway: composes configuration, clips, routes and the HTTP server, and closes them in reverse order. */
export class Server {
  readonly #http: ServerType;
  readonly #clips: Clips;
  #closing: Promise<void> | undefined;

  /** @throws GatewayError 'cannot-listen' (port in use, or not ours to take) | 'bad-config' (DATA_DIR not writable) */
  static async create({ config, blurFile, ready, log }: ServerOptions): Promise<Server> {
    const { modelLocations: models, dataDir } = config;
    const clips = await Clips.create({ ...config.clips, dataDir, models, blurFile, log }).catch((error) => {
      throw new GatewayError('bad-config', `DATA_DIR cannot be written to (${error.code ?? error.message})`);
    });
    // Uploads of any length are welcome while they move: `clips` ends idle ones itself.
    const http = createAdaptorServer({
      fetch: createApp({ clips, ready, log }).fetch,
      serverOptions: { requestTimeout: 0 },
    });
    try {
      await listen(http, config);
    } catch (error) {
      await clips.close();
      throw error;
    }
    return new Server(http, clips);
  }

  private constructor(http: ServerType, clips: Clips) {
    this.#http = http;
    this.#clips = clips;
  }

  /** Where it listens, for example `http://127.0.0.1:8080`. */
  get url(): string {
    const { address, family, port } = this.#http.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Stops listening, ends jobs, erases clips and ends every connection. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    await this.#clips.close();
    const timer = setTimeout(() => 'closeAllConnections' in this.#http && this.#http.closeAllConnections(), DRAIN_MS);
    await closed;
    clearTimeout(timer);
  }
}

function listen(http: ServerType, { host, port }: ServerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    http.listen(port, host, () => resolve());
  });
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): GatewayError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} on ${host} is in use; set PORT to another one`,
    EACCES: `port ${port} needs more rights; set PORT to 1024 or above`,
    EADDRNOTAVAIL: `HOST ${host} is no address of this machine`,
  };
  return new GatewayError('cannot-listen', reasons[error.code ?? ''] ?? `cannot listen: ${error.message}`);
}
