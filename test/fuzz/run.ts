import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_QUIET } from 'node-av/constants';
import { openTestDetector } from '../clips/test-detector.ts';
import { Fuzzer } from './fuzzer.ts';
import { makeSeeds } from './seeds.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'bench', 'out', 'fuzz');

const { values } = parseArgs({
  options: { files: { type: 'string', default: '2000' }, seed: { type: 'string' } },
});
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
const files = Number(values.files);
Log.setLevel(AV_LOG_QUIET);
mkdirSync(FOLDER, { recursive: true });
console.log(`seed ${seed}, ${files} files`);
const detector = await openTestDetector();
const seeds = await makeSeeds(FOLDER);
const onFile = (number: number) => {
  if ((number + 1) % 100 === 0) console.log(`${number + 1} files`);
};
const summary = await new Fuzzer({ seeds, files, seed, folder: FOLDER, detector, onFile }).run();
await detector.close();
console.log(JSON.stringify(summary, null, 2));
process.exitCode = summary.findings.length === 0 ? 0 : 1;
