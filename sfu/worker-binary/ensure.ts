import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SfuError } from '../errors.ts';
import { workerStarts, workerWorks } from './check.ts';
import { BUILD_PACKAGES, compileWorker, RECIPE_DIR } from './compile.ts';
import { installCommand, installPackages, isOnPath, missingPackages } from './debian-packages.ts';
import { cachedWorkerPath, type WorkerBinaryLocation, type WorkerPackage } from './locate.ts';
import { fetchPrebuilt } from './prebuilt.ts';
import { withSetUpLock } from './set-up-lock.ts';

/** Longer than a build may take. */
const LOCK_LIMIT_MS = 60 * 60_000;

export interface EnsureWorkerOptions {
  readonly location: WorkerBinaryLocation;
  readonly package: WorkerPackage;
  /** The PATH on which programs are looked for. */
  readonly path: string;
  /** May packages be installed? Only root's apt-get can. */
  readonly isRoot: boolean;
  readonly signal?: AbortSignal;
  /** Default: the global fetch. */
  readonly fetcher?: typeof fetch;
  /** Says what is done, a line a call. Nothing is said when all is there already. */
  say(line: string): void;
}

/**
 * Makes the media server ready: the cached one, else mediasoup's prebuilt one, else a build from the npm package's
 * source. A new one is put in place whole, after it was seen working.
 * @throws SfuError 'worker-missing', saying what to do; the signal's reason
 */
export async function ensureWorkerBinary(options: EnsureWorkerOptions): Promise<void> {
  const { location, say } = options;
  if (location.ownPath !== null) return checkOwn(location.ownPath);
  const target = cachedWorkerPath(location);
  if (workerStarts(target)) return;
  makeFolder(location.cacheDir);
  const lock = {
    limitMs: LOCK_LIMIT_MS,
    signal: options.signal,
    onWait: () => say('another set-up is making the media server; waiting for it'),
  };
  await withSetUpLock(join(location.cacheDir, 'set-up.lock'), lock, async () => {
    if (workerStarts(target)) return;
    if (await putPrebuilt(target, options)) say(`downloaded mediasoup's own build of the media server to ${target}`);
    else await putCompiled(target, options);
  });
}

function checkOwn(path: string): void {
  if (workerStarts(path)) return;
  throw new SfuError('worker-missing', `MEDIASOUP_WORKER_BIN: ${path} does not start as a mediasoup-worker here`);
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const remedy = 'make it writable, or set XDG_CACHE_HOME to a folder that is';
    throw new SfuError('worker-missing', `${folder} cannot be made (${code}); ${remedy}`, { cause });
  }
}

/** A prebuilt worker may want a newer C library than this machine's: then it is as good as none. */
async function putPrebuilt(target: string, options: EnsureWorkerOptions): Promise<boolean> {
  const program = await fetchPrebuilt(options.package, options.fetcher);
  options.signal?.throwIfAborted();
  if (!program) return false;
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    writeFileSync(temporary, program, { flag: 'wx', mode: 0o755 });
    if (!(await workerWorks(temporary))) return false;
    renameSync(temporary, target);
    return true;
  } finally {
    rmSync(temporary, { force: true });
  }
}

async function putCompiled(target: string, options: EnsureWorkerOptions): Promise<void> {
  const { location, say } = options;
  ensureBuildPackages(options);
  const buildDir = join(location.cacheDir, `build-${recipeHash()}`);
  const logFile = join(location.cacheDir, 'build.log');
  removeBuilds(location.cacheDir, buildDir);
  say(`building mediasoup-worker ${options.package.version} from source (once; about 2 minutes on 2 cores)`);
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  const compiled = await compileWorker({
    sourceDir: options.package.sourceDir,
    buildDir,
    logFile,
    signal: options.signal,
    onProgress: (done, total) => say(`compiled ${done} of ${total} files (${seconds()} s)`),
  });
  if (!(await workerWorks(compiled))) {
    throw new SfuError('worker-missing', `the media server that was built does not work (see ${logFile})`);
  }
  chmodSync(compiled, 0o755);
  renameSync(compiled, target);
  removeBuilds(location.cacheDir, null);
  rmSync(logFile, { force: true });
  say(`built the media server in ${seconds()} s: ${target}`);
}

function ensureBuildPackages({ path, isRoot, say }: EnsureWorkerOptions): void {
  const missing = missingPackages(BUILD_PACKAGES, path);
  if (missing.length === 0) return;
  const needed = `the media server has to be built here, which needs ${missing.join(', ')}`;
  if (!isOnPath('apt-get', path))
    throw new SfuError('worker-missing', `${needed} (Debian's names); install them first`);
  if (!isRoot) throw new SfuError('worker-missing', `${needed}; run: sudo ${installCommand(missing)}`);
  say(`installing ${missing.join(', ')} to build the media server with (once; a minute or two)`);
  const failure = installPackages(missing);
  if (failure) throw new SfuError('worker-missing', `${needed}; ${failure}; try: ${installCommand(missing)}`);
}

/** Changes when the recipe does, so that nothing of an older one gets into a build. */
function recipeHash(): string {
  const hash = createHash('sha256');
  const entries = readdirSync(RECIPE_DIR, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of entries.map(({ parentPath, name }) => join(parentPath, name)).sort())
    hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

function removeBuilds(cacheDir: string, kept: string | null): void {
  for (const name of readdirSync(cacheDir).filter((name) => name.startsWith('build-'))) {
    const folder = join(cacheDir, name);
    if (folder !== kept) rmSync(folder, { recursive: true, force: true });
  }
}
