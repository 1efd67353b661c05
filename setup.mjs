#!/usr/bin/env node
// Makes a fresh clone ready to run: locked dependencies, Node 24, models, the media server. Plain JavaScript,
// because it starts on whatever Node (20 or later) the machine has, before anything is installed. Safe to run again:
// then it only looks.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const stamp = join(root, 'node_modules', '.faceblur-setup');
const forTests = process.argv.includes('--test');

/** Prints one line that says what to do, and ends with exit code 1. */
function stop(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
}

/** Installs what package-lock.json names. Install scripts stay off: they download, and set-up has its own steps. */
function installDependencies() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.error('setup: installing dependencies (once; about a minute)');
  // The npm that runs this, or the one on the PATH where something else does.
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? process.env.npm_execpath : null;
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const done = npm ? run(process.execPath, [npm, ...args]) : run('npm', args);
  if (done.status !== 0) stop('npm ci failed (its message is above); check the network or registry, then run it again');
  if (!existsSync(join(bin, 'node')))
    stop(`no Node 24 build for ${process.platform}-${process.arch}; use Linux on x64 or arm64`);
  writeFileSync(stamp, wanted);
}

/** Puts the `faceblur` command where `npx` and npm scripts look for it. */
function linkCommand() {
  const link = join(bin, 'faceblur');
  if (existsSync(link)) return;
  mkdirSync(bin, { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'gateway', 'faceblur.mjs'), link);
}

/** Runs one of the project's TypeScript files on the Node 24 that was just installed. */
function runStep(file) {
  const done = run(join(bin, 'node'), [join(root, file)]);
  if (done.status !== 0) process.exit(done.status ?? 1);
}

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) stop(`Node ${process.versions.node} is too old; install Node 20 or later`);
installDependencies();
linkCommand();
runStep('models/setup.ts');
runStep('sfu/worker-binary/setup.ts');
if (forTests) runStep('test/setup/packages.ts');
