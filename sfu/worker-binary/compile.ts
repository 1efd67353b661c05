import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { SfuError } from '../errors.ts';
import type { DebianPackage } from './debian-packages.ts';

/** The Makefile and what the source needs besides, made for Debian 12's libraries. */
export const RECIPE_DIR = join(import.meta.dirname, 'build');

const include = (header: string) => `{/usr/include,/usr/local/include}/${header}`;

/** What the recipe needs, in Debian's names. */
export const BUILD_PACKAGES: readonly DebianPackage[] = [
  { name: 'g++', programs: ['g++'] },
  { name: 'make', programs: ['make'] },
  { name: 'libssl-dev', files: [include('openssl/ssl.h')] },
  { name: 'libuv1-dev', files: [include('uv.h')] },
  { name: 'libsrtp2-dev', files: [include('srtp2/srtp.h')] },
  { name: 'libabsl-dev', files: [include('absl/base/config.h')] },
  { name: 'libflatbuffers-dev', files: [include('flatbuffers/flatbuffers.h')] },
  { name: 'flatbuffers-compiler', programs: ['flatc'] },
];

/** What a compiler at work may take. */
const BYTES_PER_COMPILER = 768 * 1024 ** 2;
const PROGRESS_EVERY_MS = 10_000;
/** About 2 minutes on 2 cores; on one slow and busy core a good deal more. */
const BUILD_LIMIT_MS = 45 * 60_000;

export interface CompileOptions {
  /** The worker's C++ source. Only read. */
  readonly sourceDir: string;
  /** Made when it is not there. What an earlier build left in it is used. */
  readonly buildDir: string;
  /** What the compiler says goes there. */
  readonly logFile: string;
  readonly signal?: AbortSignal | undefined;
  /** Called every few seconds. */
  onProgress(done: number, total: number): void;
}

/**
 * Builds the worker from source. Takes minutes and all cores.
 * @returns the program's path in the build folder
 * @throws SfuError 'worker-missing' naming the log; the signal's reason
 */
export async function compileWorker(options: CompileOptions): Promise<string> {
  const { buildDir, logFile, signal } = options;
  mkdirSync(buildDir, { recursive: true });
  link(options.sourceDir, join(buildDir, 'source'));
  link(RECIPE_DIR, join(buildDir, 'recipe'));
  const make = ['-f', 'recipe/Makefile'];
  const total = Number(spawnSync('make', [...make, '-s', 'total'], { cwd: buildDir, encoding: 'utf8' }).stdout) || 0;
  const log = openSync(logFile, 'w');
  const progress = setInterval(() => options.onProgress(countObjects(buildDir), total), PROGRESS_EVERY_MS);
  const limit = AbortSignal.timeout(BUILD_LIMIT_MS);
  try {
    const child = spawn('make', [...make, `-j${jobs()}`], {
      cwd: buildDir,
      stdio: ['ignore', log, log],
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
    const [code, ended] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw new Error(`make ended with ${code ?? ended}`);
    return join(buildDir, 'mediasoup-worker');
  } catch (cause) {
    signal?.throwIfAborted();
    const why = limit.aborted ? `not done after ${BUILD_LIMIT_MS / 60_000} minutes` : (cause as Error).message;
    throw new SfuError('worker-missing', `building the media server failed: ${why} (see ${logFile})`, { cause });
  } finally {
    clearInterval(progress);
    closeSync(log);
  }
}

/** As many compilers as there are cores, and no more than fit into the memory that is free. */
function jobs(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(process.availableMemory() / BYTES_PER_COMPILER)));
}

function countObjects(buildDir: string): number {
  const objects = join(buildDir, 'obj');
  if (!existsSync(objects)) return 0;
  return readdirSync(objects, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.o')).length;
}

function link(target: string, path: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}
