import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

const USER = 'faceblur';
const INIT_LIMIT_MS = 60_000;
const START_LIMIT_MS = 30_000;
const POLL_MS = 50;

/** The folder of PostgreSQL's newest programs, which Debian keeps off the PATH; null where it is not installed. */
const programs = globSync('/usr/lib/postgresql/*/bin/initdb')
  .map(dirname)
  .sort((a, b) => Number.parseInt(a.split('/')[4]!, 10) - Number.parseInt(b.split('/')[4]!, 10))
  .at(-1);

export const hasPostgres = programs !== undefined;

/** A real PostgreSQL of its own: an empty cluster in a temporary folder, on a free loopback port, with a password. */
export class PostgresServer {
  readonly port: number;
  readonly password: string;
  readonly #folder: string;
  #process: ChildProcess;
  #databases = 0;

  private constructor(folder: string, port: number, password: string) {
    this.#folder = folder;
    this.port = port;
    this.password = password;
    this.#process = this.#spawn();
  }

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'faceblur-postgres-'));
    try {
      const password = randomBytes(12).toString('hex');
      const passwordFile = join(folder, 'password');
      writeFileSync(passwordFile, password);
      own(folder, passwordFile);
      const args = ['-D', join(folder, 'data'), '-U', USER, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256'];
      const [command, ...rest] = asServer('initdb', [...args, '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']);
      const made = spawnSync(command!, rest, { cwd: folder, encoding: 'utf8', timeout: INIT_LIMIT_MS });
      if (made.status !== 0) throw new Error(`initdb ended with ${made.status ?? made.signal}: ${made.stderr}`);
      const server = new PostgresServer(folder, await freePort(), password);
      await server.#ready();
      return server;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The address of a database; `postgres` is always there. */
  url(database = 'postgres', password = this.password): string {
    return `postgres://${USER}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Makes an empty database. @returns its address */
  async createDatabase(): Promise<string> {
    const name = `test_${++this.#databases}`;
    await this.query(`create database ${name}`);
    return this.url(name);
  }

  async query(sql: string, url = this.url()): Promise<unknown[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** As if the machine had been switched off and on. */
  async restart(): Promise<void> {
    await this.#end('SIGQUIT');
    this.#process = this.#spawn();
    await this.#ready();
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off' };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // It ends with this process, also when that is killed.
    const [command, ...args] = asServer(
      'postgres',
      ['-D', join(this.#folder, 'data'), '-p', `${this.port}`, ...options],
      ['--pdeathsig', 'INT'],
    );
    const log = join(this.#folder, 'log');
    return spawn('sh', ['-c', `exec "$@" >> '${log}' 2>&1`, 'sh', command!, ...args], { stdio: 'ignore' });
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      try {
        await this.query('select 1');
        return;
      } catch (error) {
        if (this.#process.exitCode === null && performance.now() < deadline) await sleep(POLL_MS);
        else
          throw new Error(`PostgreSQL did not start: ${readFileSync(join(this.#folder, 'log'), 'utf8')}`, {
            cause: error,
          });
      }
    }
  }

  /** INT ends it in order, QUIT at once. */
  async #end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }
}

/** PostgreSQL refuses to run as root: then it runs as Debian's user for it. */
function asServer(program: string, args: readonly string[], options: readonly string[] = []): string[] {
  const user = isRoot() ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  return ['setpriv', ...user, ...options, join(programs!, program), ...args];
}

function own(...paths: string[]): void {
  for (const path of paths) chmodSync(path, 0o700);
  if (!isRoot()) return;
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  for (const path of paths) chownSync(path, id('-u'), id('-g'));
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
