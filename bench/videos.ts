// How long a video takes through `faceblur serve`, by HTTP alone: from the first byte sent until its faces are known, the
// same bytes again, and from the choice of somebody until it can be downloaded.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { FIVE_PEOPLE } from '../test/clips/face-photo.ts';
import { cachedClip, OUT_FOLDER } from './clips.ts';
import { GatewayProcess } from './live/gateway-process.ts';
import { busyPart } from './live/machine-load.ts';
import { type Row, report } from './report.ts';
import { median, rounded } from './statistics.ts';

const POLL_MS = 50;
const STEPS = ['upload', 'faces ready', 'faces ready, known bytes', 'rendered'] as const;
type Step = (typeof STEPS)[number];

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '60' } },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
Log.setLevel(AV_LOG_ERROR);
const { file } = await cachedClip(`five-people-${seconds}s`, {
  photo: FIVE_PEOPLE.path,
  boxes: FIVE_PEOPLE.boxes,
  motion: 'pan',
  seconds,
});
const clip = readFileSync(file);
await using server = await GatewayProcess.start({ profile: false });

async function call(method: string, path: string, body?: object) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API answers
  return (response.status === 204 ? null : await response.json()) as any;
}

/** The clip as another file: players pass over a box that is free. */
function another(): Buffer {
  const box = Buffer.concat([Buffer.alloc(8), randomBytes(16)]);
  box.writeUInt32BE(box.length, 0);
  box.write('free', 4, 'latin1');
  return Buffer.concat([clip, box]);
}

async function reaches(id: string, state: string): Promise<void> {
  for (;;) {
    const video = await call('GET', `/v1/videos/${id}`);
    if (video.state === state) return;
    if (video.state === 'failed') throw new Error(JSON.stringify(video.error));
    await sleep(POLL_MS);
  }
}

/** @returns milliseconds that the bytes took, and all until the faces are known */
async function analyse(bytes: Buffer): Promise<{ id: string; uploadMs: number; readyMs: number }> {
  const startedAt = performance.now();
  const { id, upload } = await call('POST', '/v1/videos', { filename: 'bench.mp4', size: bytes.length });
  const sent = await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: Buffer.from(bytes) });
  if (!sent.ok) throw new Error(`the upload was answered ${sent.status}`);
  const uploadMs = performance.now() - startedAt;
  await call('POST', `/v1/videos/${id}/complete`);
  await reaches(id, 'ready');
  await call('GET', `/v1/videos/${id}/faces`);
  return { id, uploadMs, readyMs: performance.now() - startedAt };
}

const taken: Record<Step, number[]> = { upload: [], 'faces ready': [], 'faces ready, known bytes': [], rendered: [] };
/** How busy the machine is before each round, 0..1. */
const loads: number[] = [];
for (let round = 0; round < rounds; round++) {
  loads.push(await busyPart());
  const bytes = another();
  const first = await analyse(bytes);
  const again = await analyse(bytes);
  await call('PATCH', `/v1/videos/${first.id}/faces/2`, { visible: true });
  const startedAt = performance.now();
  await call('POST', `/v1/videos/${first.id}/render`, {});
  await reaches(first.id, 'done');
  taken.upload.push(first.uploadMs);
  taken['faces ready'].push(first.readyMs);
  taken['faces ready, known bytes'].push(again.readyMs);
  taken.rendered.push(performance.now() - startedAt);
  const output = await fetch(`${server.url}/v1/videos/${first.id}/download`);
  writeFileSync(join(OUT_FOLDER, 'videos.mp4'), Buffer.from(await output.arrayBuffer()));
  for (const { id } of [first, again]) await call('DELETE', `/v1/videos/${id}`);
}

const rows: Row[] = STEPS.map((step) => ({
  step,
  'median s': rounded((median(taken[step]) ?? 0) / 1000, 2),
  'slowest s': rounded(Math.max(...taken[step]) / 1000, 2),
  rounds,
}));
report('videos', rows, { clip: { seconds, bytes: clip.length, width: 1280, height: 720 }, taken, loads });
