#!/usr/bin/env node
// The `faceblur` command. Plain JavaScript that runs on the machine's own Node (20 or later) and hands over to the
// Node 24 that set-up installed; all else is TypeScript from ./cli.ts on.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, '..', 'node_modules');
const node = join(modules, '.bin', 'node');
const NEEDED_MAJOR = 24;

/** Ends with one line that says what to do. */
function stop(message) {
  process.stderr.write(`faceblur: ${message}\n`);
  process.exit(1);
}

/** Runs this command again on the installed Node 24: same terminal, signals passed on, its exit code is ours. */
function handOver() {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => stop(`cannot start Node ${NEEDED_MAJOR} (${error.code}); run npm run setup`));
  child.once('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
}

if (!existsSync(join(modules, 'commander', 'package.json'))) {
  stop(`dependencies are not installed; run npm run setup in ${dirname(here)}`);
} else if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  await import('./cli.ts');
} else if (existsSync(node)) {
  handOver();
} else {
  stop(`Node ${NEEDED_MAJOR} is not installed; run npm run setup in ${dirname(here)}`);
}
