import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';

const START_LIMIT_MS = 30_000;
const POLL_MS = 20;

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** A real Redis of its own, in a temporary folder, on a free loopback port, with a password. It forgets when it ends. */
export class RedisServer {
  readonly port: number;
  readonly password: string;
  readonly #folder: string;
  #process: ChildProcess;

  private constructor(folder: string, port: number, password: string) {
    this.#folder = folder;
    this.port = port;
    this.password = password;
    this.#process = this.#spawn();
  }

  static async start(): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'faceblur-redis-'));
    try {
      const server = new RedisServer(folder, await freePort(), randomBytes(12).toString('hex'));
      await server.#ready();
      return server;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  url(password = this.password): string {
    return `redis://:${password}@127.0.0.1:${this.port}`;
  }

  /** What `redis-cli` would be answered. */
  async command(...args: string[]): Promise<unknown> {
    const client = createClient({ url: this.url(), socket: { reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      await client.close();
    }
  }

  /** As if its machine had been switched off: what it held is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async startAgain(): Promise<void> {
    this.#process = this.#spawn();
    await this.#ready();
  }

  /** It keeps its connections, and answers nothing. */
  freeze(): void {
    this.#process.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    const settings = ['--bind', '127.0.0.1', '--port', `${this.port}`, '--requirepass', this.password];
    const memoryOnly = [
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      this.#folder,
      '--logfile',
      join(this.#folder, 'log'),
    ];
    // It ends with this process, also when that is killed.
    return spawn('setpriv', ['--pdeathsig', 'TERM', 'redis-server', ...settings, ...memoryOnly], { stdio: 'ignore' });
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      try {
        await this.command('PING');
        return;
      } catch (error) {
        if (this.#process.exitCode === null && performance.now() < deadline) await sleep(POLL_MS);
        else
          throw new Error(`Redis did not start: ${readFileSync(join(this.#folder, 'log'), 'utf8')}`, { cause: error });
      }
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
