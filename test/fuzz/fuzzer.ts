import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decoder, Demuxer } from 'node-av';
import { blurFile } from '../../inference/blur-file.ts';
import type { Detector } from '../../inference/detect/detector.ts';
import { InferenceError } from '../../inference/errors.ts';
import type { FileJobOptions } from '../../inference/file-job.ts';
import { chooseOutputKind } from '../../inference/media/output-kind.ts';
import { makePolicy } from '../../inference/policy.ts';
import type { Box } from '../../inference/track/box.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { seededRandom } from '../clips/picture.ts';
import type { FuzzedEnd } from './fuzz-child.ts';
import { MUTATIONS } from './mutate.ts';
import type { Seed } from './seeds.ts';

/** No file here has a second of video; a busy machine takes a job far longer than it would alone. */
const TIME_LIMIT_MS = 60_000;
/** Of one process at its peak: ten times what whole files of this size take. */
const MEMORY_LIMIT_BYTES = 1536 * 2 ** 20;
/** One in so many files goes through a process of its own, as users' files do. */
const FORKED_EVERY = 25;
/** What the detector calls a face for sure; the engine covers what scores much less. */
const SURE_SCORE = 0.65;
/** A covered face may still look like one: what is found there is none that shows. A mask is so much of its box. */
const MASK_PART = 1.3;

/** What is wrong with how a file was dealt with. */
export interface Finding {
  readonly number: number;
  readonly seed: string;
  readonly mutation: string;
  readonly what: string;
  readonly file: string;
}

export interface FuzzSummary {
  readonly files: number;
  readonly blurred: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly peakBytes: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seeds: readonly Seed[];
  readonly files: number;
  /** The number of the first; with 1 file, that one is made and tried again. Default 0. */
  readonly first?: number;
  readonly seed: number;
  readonly folder: string;
  readonly detector: Detector;
  readonly onFile?: (number: number) => void;
  readonly onFinding?: (finding: Finding) => void;
}

/** Harms files of every container and gives them to the engine; whatever it does but refuse or blur is a finding. */
export class Fuzzer {
  readonly #options: FuzzOptions;
  readonly #refused: Record<string, number> = {};
  readonly #findings: Finding[] = [];
  #child: ChildProcess | undefined;
  #blurred = 0;
  #slowestMs = 0;
  #peakBytes = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
  }

  async run(): Promise<FuzzSummary> {
    const { files, first = 0, folder, onFile } = this.#options;
    mkdirSync(join(folder, 'findings'), { recursive: true });
    try {
      for (let number = first; number < first + files; number++) {
        await this.#one(number);
        onFile?.(number);
      }
    } finally {
      await this.#endChild();
    }
    return {
      files,
      blurred: this.#blurred,
      refused: this.#refused,
      slowestMs: Math.round(this.#slowestMs),
      peakBytes: this.#peakBytes,
      findings: this.#findings,
    };
  }

  async #one(number: number): Promise<void> {
    const { seeds, folder, seed: runSeed } = this.#options;
    // Each file can be made again alone, from the run's seed and its number.
    const random = seededRandom(runSeed * 1_000_003 + number + 1);
    const seed = seeds[number % seeds.length]!;
    const names = Object.keys(MUTATIONS);
    const mutation = names[Math.floor(random() * names.length)]!;
    const work = mkdtempSync(join(folder, 'file-'));
    const input = join(work, `in.${seed.ending}`);
    writeFileSync(input, MUTATIONS[mutation]!(seed.bytes, random));
    const outputs = join(work, 'out');
    mkdirSync(outputs);
    const startedMs = performance.now();
    const what = number % FORKED_EVERY === 0 ? await this.#fork(input, outputs) : await this.#reuse(input, outputs);
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
    if (what !== null) {
      const file = join(folder, 'findings', `${runSeed}-${number}.${seed.ending}`);
      writeFileSync(file, readFileSync(input));
      const finding = { number, seed: seed.name, mutation, what, file };
      this.#findings.push(finding);
      this.#options.onFinding?.(finding);
    }
    rmSync(work, { recursive: true });
  }

  /** @returns what is wrong, or null */
  async #fork(input: string, outputs: string): Promise<string | null> {
    const output = join(outputs, 'out.mp4');
    try {
      const signal = AbortSignal.timeout(TIME_LIMIT_MS);
      await blurFile({ input, output, report: join(outputs, 'out.json') }, { signal });
    } catch (error) {
      const left = readdirSync(outputs);
      if (left.length > 0) return `it left ${left.join(', ')}`;
      if (!(error instanceof InferenceError)) return `it threw ${error}`;
      return this.#refusal(error.code, error.fault, error.message);
    }
    const extra = readdirSync(outputs).filter((name) => name !== 'out.mp4' && name !== 'out.json');
    return extra.length > 0 ? `it left ${extra.join(', ')}` : this.#output(output);
  }

  async #reuse(input: string, outputs: string): Promise<string | null> {
    this.#child ??= await startChild();
    const child = this.#child;
    const output = join(outputs, 'out.mp4');
    const job: FileJobOptions = {
      input,
      output,
      kind: chooseOutputKind(output),
      keepMetadata: false,
      policy: makePolicy(),
      report: join(outputs, 'out.json'),
      models: defaultModelLocations({}),
    };
    const end = await endOf(child, job);
    const peakBytes = peakMemory(child.pid!);
    this.#peakBytes = Math.max(this.#peakBytes, peakBytes);
    if (typeof end === 'string' || peakBytes > MEMORY_LIMIT_BYTES) {
      await this.#endChild();
      return typeof end === 'string' ? end : `it took ${Math.round(peakBytes / 2 ** 20)} MiB`;
    }
    return 'code' in end
      ? this.#refusal(end.code, end.fault, end.fault === 'input' ? end.message : `${end.message}\n${end.stack}`)
      : this.#output(output);
  }

  #refusal(code: string, fault: string, message: string): string | null {
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    if (fault !== 'input') return `it took the blame: ${code}: ${message}`;
    return /^[^\n]{10,400}$/.test(message) ? null : `it said ${JSON.stringify(message)}`;
  }

  async #output(path: string): Promise<string | null> {
    this.#blurred++;
    if (!existsSync(path)) return 'it said that it was done and wrote nothing';
    const { detector } = this.#options;
    await using demuxer = await Demuxer.open(path);
    const stream = demuxer.video();
    if (!stream) return 'its output has no picture';
    using decoder = await Decoder.create(stream);
    const covered = coveredIn(path.replace(/mp4$/, 'json'));
    let index = 0;
    for await (const picture of decoder.frames(demuxer.packets(stream.index))) {
      if (!picture) continue;
      using frame = picture;
      const masks = covered.get(index) ?? [];
      const sidePx = Math.min(640, Math.max(frame.width, frame.height));
      const faces = await detector.detect(frame, sidePx, SURE_SCORE);
      const shown = faces.find((face) => !masks.some((mask) => hides(mask, face)));
      if (shown) return `a face shows in picture ${index}: ${JSON.stringify(shown)}`;
      index++;
    }
    return null;
  }

  async #endChild(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** Where the report says that faces were covered, by picture. */
function coveredIn(report: string): Map<number, Box[]> {
  const { tracks }: { tracks: { boxes: [number, number, number, number, number][] }[] } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const covered = new Map<number, Box[]>();
  for (const [frame, x, y, w, h] of tracks.flatMap(({ boxes }) => boxes)) {
    covered.set(frame, [...(covered.get(frame) ?? []), { x, y, w, h }]);
  }
  return covered;
}

/** Whether the middle of a face lies under the ellipse that covers a box. */
function hides(mask: Box, face: Box): boolean {
  const dx = (face.x + face.w / 2 - mask.x - mask.w / 2) / ((mask.w / 2) * MASK_PART);
  const dy = (face.y + face.h / 2 - mask.y - mask.h / 2) / ((mask.h / 2) * MASK_PART);
  return dx * dx + dy * dy < 1;
}

async function startChild(): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, 'fuzz-child.ts'), {
    serialization: 'advanced',
    execArgv: [],
    env: { MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

/** @returns how the job ended, or what became of its process */
function endOf(child: ChildProcess, job: FileJobOptions): Promise<FuzzedEnd | string> {
  return new Promise((resolve) => {
    const settle = (end: FuzzedEnd | string) => {
      clearTimeout(timer);
      child.removeAllListeners();
      resolve(end);
    };
    const timer = setTimeout(() => settle('it hung'), TIME_LIMIT_MS);
    child.once('message', (end: FuzzedEnd) => settle(end));
    child.once('exit', (code, signal) => settle(`its process died (${signal ?? code})`));
    child.send(job);
  });
}

/** Bytes in memory at most since this was asked for last, where the system tells (Linux). */
function peakMemory(pid: number): number {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    // 5: the peak begins anew. @see proc(5)
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return Number(peak?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
