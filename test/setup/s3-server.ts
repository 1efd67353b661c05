import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3StoreOptions } from '../../recorder/store/s3-store.ts';
import { s3ServerPackages } from './s3-server-package.ts';

const START_LIMIT_MS = 30_000;
const CREDENTIALS = { accessKeyId: 'test:tester', secretAccessKey: 'testing' };
const REGION = 'us-east-1';

export const hasS3Server = s3ServerPackages() !== null;

/** A real S3 server of its own, with its objects in a temporary folder, on a free loopback port. */
export class S3Server {
  readonly url: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  #buckets = 0;

  private constructor(url: string, folder: string, process: ChildProcess) {
    this.url = url;
    this.#folder = folder;
    this.#process = process;
  }

  static async start(): Promise<S3Server> {
    const folder = mkdtempSync(join(tmpdir(), 'faceblur-s3-'));
    // It ends with this process, also when that is killed.
    const args = ['--pdeathsig', 'TERM', '/usr/bin/python3', join(import.meta.dirname, 's3-server.py'), folder];
    const child = spawn('setpriv', args, {
      env: { ...process.env, PYTHONPATH: s3ServerPackages() ?? '', PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints = (complaints + text).slice(-10_000);
    });
    try {
      const signal = AbortSignal.timeout(START_LIMIT_MS);
      const said = once(createInterface(child.stdout), 'line', { signal }) as Promise<[string]>;
      const ended = once(child, 'exit', { signal }).then(() => null);
      const line = await Promise.race([said, ended]);
      if (line === null) throw new Error('it ended');
      return new S3Server(line[0], folder, child);
    } catch (error) {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`the S3 server did not start: ${complaints}`, { cause: error });
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Makes an empty bucket. @returns how to reach it */
  async createBucket(): Promise<S3StoreOptions> {
    const bucket = `test-${++this.#buckets}`;
    const options = { endpoint: this.url, region: REGION, credentials: CREDENTIALS, forcePathStyle: true };
    const client = new S3Client(options);
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
    return { ...options, bucket };
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
