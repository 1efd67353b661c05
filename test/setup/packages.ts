// Makes sure that the programs which some tests start are there. `node setup.mjs --test` runs it under Node 24.
// A test whose program is missing is skipped by name, so nothing here ever fails the run.
import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Debian package to the programs of it that tests start. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  ffmpeg: ['ffmpeg', 'ffprobe'],
  chromium: ['chromium'],
};

const UPDATE_LIMIT_MS = 60_000;
const INSTALL_LIMIT_MS = 300_000;
/** Another apt-get may be at work: wait for it, but not for ever; and do not hang on a dead mirror. */
const APT_OPTIONS = ['-o', 'DPkg::Lock::Timeout=60', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20'];

function isOnPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder || '.', program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The Debian packages of which a program is not found on `path`. */
export function missingPackages(path: string): string[] {
  return Object.keys(PACKAGES).filter((name) => !PACKAGES[name]!.every((program) => isOnPath(program, path)));
}

/** @returns what went wrong, or null */
function runApt(args: readonly string[], log: number, limitMs: number): string | null {
  const done = spawnSync('apt-get', [...APT_OPTIONS, ...args], {
    stdio: ['ignore', log, log],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: limitMs,
  });
  if (done.status === 0) return null;
  const why = done.error ? done.error.message : `ended with ${done.status ?? done.signal}`;
  return `apt-get ${args[0]} ${why}`;
}

function installPackages(names: readonly string[]): void {
  const logFile = join(tmpdir(), `faceblur-packages-${process.pid}.log`);
  const log = openSync(logFile, 'w');
  try {
    console.error(`setup: installing ${names.join(' and ')} for tests (once; a minute or two)`);
    // A failed update need not matter: the lists that are there may do.
    const updateFailure = runApt(['update', '-q'], log, UPDATE_LIMIT_MS);
    const failure = runApt(['install', '-y', '--no-install-recommends', ...names], log, INSTALL_LIMIT_MS);
    if (failure) {
      const reasons = [updateFailure, failure].filter(Boolean).join(', ');
      console.error(`setup: ${reasons} (see ${logFile}); tests that need ${names.join(' or ')} are skipped`);
    }
  } finally {
    closeSync(log);
  }
}

function main(): void {
  const path = process.env.PATH ?? '';
  const missing = missingPackages(path);
  if (missing.length === 0) return;
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const skipped = `tests that need ${missing.length > 1 ? 'them' : 'it'} are skipped`;
  if (!isOnPath('apt-get', path)) {
    console.error(`setup: ${missing.join(' and ')} missing and there is no apt-get to install from; ${skipped}`);
  } else if (process.getuid?.() !== 0) {
    console.error(`setup: ${missing.join(' and ')} missing; run: sudo ${line} (until then ${skipped})`);
  } else {
    installPackages(missing);
  }
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error(`setup: could not look after the packages of tests: ${error}`);
  }
}
