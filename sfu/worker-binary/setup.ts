// One step of `node setup.mjs`, at every start: makes the media server ready. Exit code 1, after one line, when it
// cannot: without it there is no live stream.
import { existsSync } from 'node:fs';
import { SfuError } from '../errors.ts';
import { ensureWorkerBinary } from './ensure.ts';
import { defaultWorkerBinaryLocation, workerPackage } from './locate.ts';

if (existsSync('.env')) process.loadEnvFile('.env');

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());
try {
  await ensureWorkerBinary({
    location: defaultWorkerBinaryLocation(process.env),
    package: workerPackage(),
    path: process.env.PATH ?? '',
    isRoot: process.getuid?.() === 0,
    signal: interrupted.signal,
    say: (line) => console.error(`setup: ${line}`),
  });
} catch (error) {
  if (!(error instanceof SfuError) && !interrupted.signal.aborted) throw error;
  console.error(`setup: ${interrupted.signal.aborted ? 'interrupted' : (error as SfuError).message}`);
  process.exitCode = 1;
}
