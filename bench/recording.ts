// What recording one 720p30 stream costs beside sending it, and how soon a segment can be played from the store after the
// picture that ended it was sent. A new process for each variant, in alternating order.
// `--seconds 30 --rounds 3`

import { fork } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import type { Redacted } from '../inference/blur/redacted.ts';
import type { CodedVideo } from '../inference/live/coded-media.ts';
import { findFfmpeg as findRecorder } from '../recorder/recording/ffmpeg.ts';
import { Recordings } from '../recorder/recording/recordings.ts';
import { LocalStore } from '../recorder/store/local-store.ts';
import type { ObjectStore } from '../recorder/store/object-store.ts';
import { S3Store, type S3StoreOptions } from '../recorder/store/s3-store.ts';
import { ffmpeg } from '../test/clips/ffmpeg.ts';
import { codeClip } from '../test/live/coded-clip.ts';
import { MemoryRows } from '../test/recorder/recording/memory-rows.ts';
import { SentStream } from '../test/recorder/recording/sent-stream.ts';
import { hasS3Server, S3Server } from '../test/setup/s3-server.ts';
import { endWithUs } from './live/end-with-us.ts';
import { type Row, report } from './report.ts';
import { median, percentile, rounded } from './statistics.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    rounds: { type: 'string', default: '3' },
    /** Of a process that measures; the parent's alone to give. */
    order: { type: 'string' },
  },
});
const SECONDS = Number(values.seconds);
const ROUNDS = Number(values.rounds);
const SEGMENT_MS = 4000;
const FPS = 30;
/** As an engine gives them to a stream that is recorded. */
const KEYFRAME_EVERY = 60;
/** Linux's USER_HZ. */
const TICK_MS = 10;

type Variant = 'sent alone' | 'local store' | 'S3 server';

interface Order {
  readonly variant: Variant;
  readonly folder: string;
  readonly source: string;
  readonly s3: S3StoreOptions | null;
}

interface Measured {
  readonly gatewayMs: number;
  readonly ffmpegMs: number;
  /** From the picture that ended a segment being sent to its last byte being read from the store. */
  readonly playableMs: readonly number[];
}

/** Sends the clip as it plays. */
async function measure({ variant, folder, source, s3 }: Order): Promise<Measured> {
  const clip = await codeClip(source, folder, { codec: 'h264', bitrate: '2500k', keyframeEvery: KEYFRAME_EVERY });
  const stream = new SentStream('bench', { record: true, hls: false });
  const store = await openStore(variant, folder, s3);
  const rows = new MemoryRows();
  const recordings =
    store &&
    (await Recordings.create({
      ...{ store, rows, folder: join(folder, `spool-${process.pid}`), segmentMs: SEGMENT_MS },
      ...{ ffmpegPath: await findRecorder(null), log: pino({ level: 'warn' }) },
    }));
  recordings?.added(stream.live);
  stream.begin();

  const playableMs: number[] = [];
  const readings: Promise<void>[] = [];
  const ends: number[] = [];
  let segments = 0;
  const look = async (name: string, endedAt: number): Promise<void> => {
    const { stream: bytes } = await store!.get(name);
    await buffer(bytes);
    playableMs.push(performance.now() - endedAt);
  };
  const before = process.cpuUsage();
  const start = performance.now();
  let audio = 0;
  let pid: number | undefined;
  for (let index = 0; index < SECONDS * FPS; index++) {
    const ms = (index * 1000) / FPS;
    const frame = clip.video[index % clip.video.length]! as Redacted<CodedVideo>;
    for (let now = performance.now() - start; now < ms; now = performance.now() - start) {
      await sleep(Math.min(5, ms - now));
      const window = recordings?.windowOf('bench')?.segments ?? [];
      for (; segments < window.length; segments++) {
        const { recording, number } = window[segments]!;
        readings.push(look(`recordings/${recording}/${number}.m4s`, ends[segments]!));
      }
    }
    stream.video(frame, ms);
    if (frame.isKeyframe && index > 0 && ms % SEGMENT_MS === 0) ends.push(performance.now());
    for (; audio * 20 <= ms; audio++)
      stream.audio({ data: clip.audio[audio % clip.audio.length]!, pts: 0 }, audio * 20);
    pid = recordings?.pidOf('bench') ?? pid;
  }
  const { user, system } = process.cpuUsage(before);
  const ffmpegMs = pid === undefined ? 0 : cpuMsOf(pid);
  await Promise.all(readings);
  stream.end();
  await recordings?.close();
  await store?.close();
  return { gatewayMs: (user + system) / 1000, ffmpegMs, playableMs };
}

async function openStore(variant: Variant, folder: string, s3: S3StoreOptions | null): Promise<ObjectStore | null> {
  if (variant === 'sent alone') return null;
  if (variant === 'S3 server') return new S3Store(s3!);
  const signingKey = createSecretKey(randomBytes(32));
  return LocalStore.open({ folder: join(folder, 'objects'), signingKey, baseUrl: '' });
}

/** User and system time of a process so far: the 14th and 15th fields of its stat, after a name in parentheses. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function inNewProcess(order: Order): Promise<Measured> {
  const args = ['--order', JSON.stringify(order), '--seconds', values.seconds];
  const child = fork(import.meta.filename, args);
  endWithUs(child);
  const [measured] = (await once(child, 'message')) as [Measured];
  await once(child, 'exit');
  return measured;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'faceblur-bench-recording-'));
  const server = hasS3Server ? await S3Server.start() : null;
  try {
    const source = join(folder, 'source.mkv');
    const inputs = ['-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=30:d=8', '-f', 'lavfi', '-i', 'sine=f=440:r=48000:d=8'];
    await ffmpeg(
      ...inputs,
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'pcm_s16le',
      source,
    );
    const s3 = server && (await server.createBucket());
    const variants: Variant[] = ['sent alone', 'local store', ...(server ? (['S3 server'] as const) : [])];
    const measured = new Map<Variant, Measured[]>(variants.map((variant) => [variant, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const variant of round % 2 ? [...variants].reverse() : variants) {
        measured.get(variant)!.push(await inNewProcess({ variant, folder, source, s3 }));
      }
    }
    const percent = (ms: readonly number[]): number => (median(ms)! / SECONDS / 1000) * 100;
    const alone = percent(measured.get('sent alone')!.map(({ gatewayMs }) => gatewayMs));
    const rows: Row[] = variants.map((variant) => {
      const all = measured.get(variant)!;
      const gateway = percent(all.map(({ gatewayMs }) => gatewayMs));
      const ffmpegCpu = percent(all.map(({ ffmpegMs }) => ffmpegMs));
      const playable = all.flatMap(({ playableMs }) => playableMs);
      const isRecorded = variant !== 'sent alone';
      return {
        variant,
        'gateway, % of a core': rounded(gateway, 2),
        'ffmpeg, % of a core': rounded(ffmpegCpu, 2),
        'extra, % of a core': isRecorded ? rounded(gateway + ffmpegCpu - alone, 2) : 0,
        segments: playable.length,
        'ended → playable p50 ms': isRecorded ? rounded(percentile(playable, 50), 0) : null,
        'p95 ms': isRecorded ? rounded(percentile(playable, 95), 0) : null,
        'max ms': isRecorded ? rounded(Math.max(...playable), 0) : null,
      };
    });
    report('recording', rows, { rows, seconds: SECONDS, rounds: ROUNDS, segmentMs: SEGMENT_MS });
  } finally {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.order === undefined) await main();
else {
  process.send?.(await measure(JSON.parse(values.order) as Order));
  process.disconnect();
}
