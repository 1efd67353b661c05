import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, globSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** How to tell that a Debian package is there, also where it was installed by other means. */
export interface DebianPackage {
  readonly name: string;
  /** All of them have to be found on the PATH. */
  readonly programs?: readonly string[];
  /** Absolute glob patterns. Each of them has to match. */
  readonly files?: readonly string[];
}

const UPDATE_LIMIT_MS = 60_000;
const INSTALL_LIMIT_MS = 600_000;
/** Another apt-get may be at work: wait for it, but not for ever; and do not hang on a dead mirror. */
const APT_OPTIONS = ['-o', 'DPkg::Lock::Timeout=60', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20'];

/** Whether an executable of that name is in a folder of `path`. */
export function isOnPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder || '.', program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The names of those that are not there. */
export function missingPackages(packages: readonly DebianPackage[], path: string): string[] {
  const isThere = ({ programs = [], files = [] }: DebianPackage) =>
    programs.every((program) => isOnPath(program, path)) && files.every((pattern) => globSync(pattern).length > 0);
  return packages.filter((wanted) => !isThere(wanted)).map(({ name }) => name);
}

/** The command that installs them, as one would type it. */
export function installCommand(names: readonly string[]): string {
  return `apt-get install -y --no-install-recommends ${names.join(' ')}`;
}

/**
 * Installs packages with apt-get; for root only. Takes minutes.
 * @returns what went wrong, with the name of the log; null when all went well
 */
export function installPackages(names: readonly string[]): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'faceblur-apt-'));
  const logFile = join(folder, 'apt-get.log');
  const log = openSync(logFile, 'w');
  try {
    // A failed update need not matter: the lists that are there may do.
    const updateFailure = runApt(['update', '-q'], log, UPDATE_LIMIT_MS);
    const [, ...install] = installCommand(names).split(' ');
    const failure = runApt(install, log, INSTALL_LIMIT_MS);
    if (failure) return `${[updateFailure, failure].filter(Boolean).join(', ')} (see ${logFile})`;
    rmSync(folder, { recursive: true, force: true });
    return null;
  } finally {
    closeSync(log);
  }
}

/** @returns what went wrong, or null */
function runApt(args: readonly string[], log: number, limitMs: number): string | null {
  const done = spawnSync('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...APT_OPTIONS, ...args], {
    stdio: ['ignore', log, log],
    timeout: limitMs,
  });
  if (done.status === 0) return null;
  const why = done.error ? done.error.message : `ended with ${done.status ?? done.signal}`;
  return `apt-get ${args[0]} ${why}`;
}
