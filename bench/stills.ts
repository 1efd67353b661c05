// What a request of each route of still pictures costs, found anew and known, over HTTP's own code but no socket, and what
// memory the engine's process takes with the models that it has loaded.

import { createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import sharp from 'sharp';
import { Access } from '../gateway/live/access.ts';
import { Vault } from '../gateway/secrets/vault.ts';
import { stillRoutes } from '../gateway/stills/routes.ts';
import { StillGateway } from '../gateway/stills/still-gateway.ts';
import { ImageEngine } from '../inference/image/image-engine.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

/** Five people; installed with face-api, so it is on every machine. */
const PHOTO = join(
  dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json')),
  'demo/sample5.jpg',
);

/** What is sent: how many pictures in which fields. */
const QUESTIONS = {
  detect: { path: 'detect', fields: ['image'] },
  'detect-batch, 8': { path: 'detect-batch', fields: Array.from({ length: 8 }, () => 'images[]') },
  embed: { path: 'embed', fields: ['image'] },
  analyze: { path: 'analyze', fields: ['image'] },
  'compare, 1 with 1': { path: 'compare', fields: ['a', 'b[]'] },
  'compare, 1 with 8': { path: 'compare', fields: ['a', ...Array.from({ length: 8 }, () => 'b[]')] },
  'compare, 8 with 8': { path: 'compare?matrix=true', fields: Array.from({ length: 8 }, () => 'images[]') },
} as const;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } });
const rounds = Number(values.rounds);
const models = defaultModelLocations(process.env);
const dataDir = await mkdtemp(join(tmpdir(), 'faceblur-bench-stills-'));
const log = pino({ level: 'warn' });
const images = new ImageEngine(models);
const vault = new Vault(createSecretKey(randomBytes(32)));
const gateway = await StillGateway.create({ images, models, dataDir, vault, keptMs: 3_600_000, log });
const { stills, intake, limits } = gateway;
const access = new Access({ bind: '127.0.0.1', playTokens: { streamOf: async () => null } });
const routes = stillRoutes({ stills, intake, limits, access, log });

/** The photo as another file: decoders stop at the picture's end. */
function another(photo: Buffer): Buffer {
  return Buffer.concat([photo, randomBytes(16)]);
}

async function ask(path: string, form: FormData): Promise<number> {
  const { body, headers } = new Response(form);
  const whole = await new Response(body).arrayBuffer();
  const started = performance.now();
  const response = await routes.request(`/${path}`, {
    ...{ method: 'POST', body: whole },
    headers: { 'content-type': headers.get('content-type')! },
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`);
  return performance.now() - started;
}

/** Of the engine's process, the only one that we start: its PSS in MiB. Linux only. */
function memoryMib(): number | null {
  if (process.platform !== 'linux') return null;
  const [child] = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child}/smaps_rollup`, 'utf8'))?.[1];
  return rounded(Number(pss) / 1024, 0);
}

const rows: Row[] = [];
const memory: Row[] = [];
const photos = await Promise.all(
  [640, 1920, 4000].map(async (width) => ({
    width,
    photo: await sharp(PHOTO).resize(width).jpeg({ quality: 90 }).toBuffer(),
  })),
);
for (const { width, photo } of photos) {
  for (const [name, { path, fields }] of Object.entries(QUESTIONS)) {
    const [anew, known]: [number[], number[]] = [[], []];
    // The first round loads what is needed.
    for (let round = 0; round <= rounds; round++) {
      const form = new FormData();
      for (const field of fields) form.append(field, new Blob([another(photo) as Buffer<ArrayBuffer>]), 'photo.jpg');
      const first = await ask(path, form);
      const again = await ask(path, form);
      if (round === 0) continue;
      anew.push(first);
      known.push(again);
    }
    rows.push({
      'photo of five, width': width,
      question: name,
      'found anew p50 ms': rounded(percentile(anew, 50), 1),
      'p99 ms': rounded(percentile(anew, 99), 1),
      'known p50 ms': rounded(percentile(known, 50), 2),
      'known p99 ms': rounded(percentile(known, 99), 2),
    });
    if (memory.length < Object.keys(QUESTIONS).length) memory.push({ after: name, 'process MiB': memoryMib() });
  }
}
report('stills', rows, { rows, memory, cache: stills.stats });
for (const { after, 'process MiB': mib } of memory) console.log(`after ${after}: ${mib} MiB`);
await images.close();
await gateway.close();
await rm(dataDir, { recursive: true, force: true });
