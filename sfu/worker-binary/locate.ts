import { readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultModelLocations } from '../../models/locations.ts';
import { SfuError } from '../errors.ts';

/** Where the media server's program, mediasoup's worker, may be. */
export interface WorkerBinaryLocation {
  /** The folder where set-up keeps the worker of this version and machine. */
  readonly cacheDir: string;
  /** The user's own worker, used instead; null for none. */
  readonly ownPath: string | null;
}

/** The installed npm package that the worker has to match. */
export interface WorkerPackage {
  readonly version: string;
  /** The worker's C++ source. */
  readonly sourceDir: string;
  /** The name under which mediasoup publishes a built worker for this machine; one per kernel series on Linux. */
  readonly prebuiltName: string;
}

/**
 * `$XDG_CACHE_HOME/faceblur/mediasoup-worker/<version>-<platform>-<arch>` (else `~/.cache/…`), unless
 * `$MEDIASOUP_WORKER_BIN` names a worker. An empty variable counts as unset.
 */
export function defaultWorkerBinaryLocation(env: Readonly<Record<string, string | undefined>>): WorkerBinaryLocation {
  const cache = dirname(defaultModelLocations(env).cacheDir);
  const version = `${workerPackage().version}-${process.platform}-${process.arch}`;
  return { cacheDir: join(cache, 'mediasoup-worker', version), ownPath: env.MEDIASOUP_WORKER_BIN || null };
}

/**
 * The worker's program, which set-up has put there. Does not start it.
 * @throws SfuError 'worker-missing', saying what to do
 */
export function workerBinaryPath(location: WorkerBinaryLocation): string {
  const path = location.ownPath ?? cachedWorkerPath(location);
  if (isFile(path)) return path;
  const remedy = location.ownPath ? 'MEDIASOUP_WORKER_BIN has to name a mediasoup-worker' : 'run npm run setup';
  throw new SfuError('worker-missing', `the media server is not at ${path}; ${remedy}`);
}

/** Where set-up puts the worker, whether or not it is there. */
export function cachedWorkerPath(location: Pick<WorkerBinaryLocation, 'cacheDir'>): string {
  return join(location.cacheDir, 'mediasoup-worker');
}

/** What `npm ci` has installed. */
export function workerPackage(): WorkerPackage {
  // The package exports no more than its code, which lies at node/lib/index.js.
  const root = join(dirname(fileURLToPath(import.meta.resolve('mediasoup'))), '..', '..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const kernel = process.platform === 'linux' ? `-kernel${Number.parseInt(release(), 10)}` : '';
  const prebuiltName = `mediasoup-worker-${version}-${process.platform}-${process.arch}${kernel}.tgz`;
  return { version, sourceDir: join(root, 'worker'), prebuiltName };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
