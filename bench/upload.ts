// What an upload of parts to a real S3 server on this machine costs: extra memory of the process that sends, its CPU and
// the speed, for bodies of two sizes, in processes of their own. Beside it what lib-storage does by itself, and the local store, to which
// a process writes itself or the gateway what others send.

import { spawn } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { pino } from 'pino';
import { objectRoutes } from '../gateway/objects/object-routes.ts';
import { LocalStore } from '../recorder/store/local-store.ts';
import { S3Store, type S3StoreOptions } from '../recorder/store/s3-store.ts';
import { hasS3Server, S3Server } from '../test/setup/s3-server.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

const MIB = 1024 ** 2;
const KEY = 'original/bench/video';
const SAMPLE_MS = 20;
const TARGET_MIB = 100;

const VARIANTS = ['S3Store', 'lib-storage alone', 'LocalStore', 'HTTP, to LocalStore'] as const;
type Variant = (typeof VARIANTS)[number];

interface Job {
  readonly variant: Variant;
  readonly mib: number;
  readonly s3: S3StoreOptions;
  readonly folder: string;
}

interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly extraMib: number;
  readonly longestPauseMs: number;
}

const { values } = parseArgs({
  options: {
    job: { type: 'string' },
    send: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    mib: { type: 'string', default: '1024' },
  },
});
if (values.job !== undefined) await runJob(JSON.parse(values.job) as Job);
else if (values.send !== undefined) await send(values.send, Number(values.mib));
else await main(Number(values.rounds), Number(values.mib));

/** `mib` MiB in chunks as a file's stream has them; their bytes are made beforehand. */
async function* bodyOf(mib: number): AsyncGenerator<Uint8Array> {
  const chunk = randomBytes(64 * 1024);
  for (let i = 0; i < mib * 16; i++) {
    // A stream makes each of its chunks anew.
    const copy = Buffer.allocUnsafeSlow(chunk.length);
    chunk.copy(copy);
    copy.writeUInt32LE(i);
    yield copy;
  }
}

/** Linux only. */
function residentMib(): number {
  const [, pages] = readFileSync('/proc/self/statm', 'utf8').split(' ');
  return (Number(pages) * 4096) / MIB;
}

/** In a process of its own: prints what it cost. */
async function runJob({ variant, mib, s3, folder }: Job): Promise<void> {
  const signingKey = createSecretKey(randomBytes(32));
  const local = variant.endsWith('LocalStore') ? await LocalStore.open({ folder, signingKey, baseUrl: '' }) : null;
  const store = local ?? new S3Store(s3);
  // What loading and connecting takes is no cost of the upload.
  await store.put(`${KEY}-first`, bodyOf(17), { contentType: 'video/mp4' });
  await sleep(200);
  const before = residentMib();
  let peak = before;
  let last = performance.now();
  let longestPauseMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longestPauseMs = Math.max(longestPauseMs, now - last - SAMPLE_MS);
    last = now;
    peak = Math.max(peak, residentMib());
  }, SAMPLE_MS);
  const cpu = process.cpuUsage();
  const started = performance.now();
  if (variant === 'lib-storage alone') {
    const client = new S3Client({ ...s3, endpoint: s3.endpoint!, credentials: s3.credentials! });
    const params = { Bucket: s3.bucket, Key: KEY, Body: Readable.from(bodyOf(mib)) };
    await new Upload({ client, params, partSize: 8 * MIB }).done();
    client.destroy();
  } else if (variant === 'HTTP, to LocalStore') {
    await receive(local!, mib);
  } else {
    await store.put(KEY, bodyOf(mib), { contentType: 'video/mp4', size: mib * MIB });
  }
  const seconds = (performance.now() - started) / 1000;
  clearInterval(timer);
  peak = Math.max(peak, residentMib());
  const { user, system } = process.cpuUsage(cpu);
  const head = await store.head(KEY);
  if (head?.size !== mib * MIB) throw new Error(`stored ${head?.size} bytes of ${mib * MIB}`);
  await store.delete(KEY);
  await store.close();
  const cost: Cost = { seconds, cpuSeconds: (user + system) / 1e6, extraMib: peak - before, longestPauseMs };
  console.log(JSON.stringify(cost));
}

/** The gateway's routes take what another process sends. */
async function receive(store: LocalStore, mib: number): Promise<void> {
  const app = new Hono().route('/objects', objectRoutes({ store, log: pino() }));
  const http = createAdaptorServer({ fetch: app.fetch, serverOptions: { requestTimeout: 0 } }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const about = { expiresInSeconds: 600, size: mib * MIB, contentType: 'video/mp4' };
  const { url } = await store.signPut(KEY, about);
  const sender = spawn(process.execPath, [
    import.meta.filename,
    '--send',
    `http://127.0.0.1:${port}${url}`,
    '--mib',
    `${mib}`,
  ]);
  const [code] = await once(sender, 'exit');
  http.close();
  if (code !== 0) throw new Error(`the sender ended with ${code}`);
}

async function send(url: string, mib: number): Promise<void> {
  const request = { method: 'PUT', headers: { 'Content-Type': 'video/mp4' }, duplex: 'half' };
  const body = ReadableStream.from(bodyOf(mib)) as ReadableStream;
  const { status } = await fetch(url, { ...request, body } as RequestInit);
  if (status !== 200) throw new Error(`answered ${status}`);
}

async function measured(job: Job): Promise<Cost> {
  const args = [import.meta.filename, '--job', JSON.stringify(job)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text, [code]] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${job.variant} ended with ${code}`);
  return JSON.parse(Buffer.concat(text).toString()) as Cost;
}

async function main(rounds: number, mib: number): Promise<void> {
  if (!hasS3Server) throw new Error('there is no S3 server on this machine; run npm test once to have it installed');
  const server = await S3Server.start();
  const folder = await mkdtemp(join(tmpdir(), 'faceblur-bench-upload-'));
  const costs = new Map<string, Cost[]>();
  try {
    const s3 = await server.createBucket();
    for (let round = 0; round < rounds; round++) {
      for (const variant of VARIANTS) {
        for (const size of [mib / 8, mib]) {
          const name = `${variant} ${size}`;
          const cost = await measured({ variant, mib: size, s3, folder });
          costs.set(name, [...(costs.get(name) ?? []), cost]);
        }
      }
    }
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const rows: Row[] = VARIANTS.flatMap((variant) =>
    [mib / 8, mib].map((size) => {
      const found = costs.get(`${variant} ${size}`)!;
      const median = (name: keyof Cost) => percentile(valuesOf(found, name), 50)!;
      return {
        'sent by': variant,
        MiB: size,
        'extra MiB, most': rounded(Math.max(...valuesOf(found, 'extraMib')), 0),
        'extra MiB, median': rounded(median('extraMib'), 0),
        'MiB/s, median': rounded(size / median('seconds'), 0),
        'CPU s/GiB': rounded((median('cpuSeconds') / size) * 1024, 2),
        'longest pause ms': rounded(median('longestPauseMs'), 0),
      };
    }),
  );
  report('upload', rows, { rounds, rows, targetMib: TARGET_MIB });
}

function valuesOf(costs: readonly Cost[], name: keyof Cost): number[] {
  return costs.map((cost) => cost[name]);
}
