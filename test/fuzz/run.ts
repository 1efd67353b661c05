import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_QUIET } from 'node-av/constants';
import { openTestDetector } from '../clips/test-detector.ts';
import { type Finding, Fuzzer } from './fuzzer.ts';
import { makeSeeds } from './seeds.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'bench', 'out', 'fuzz');

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '2000' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string' },
  },
});
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
const files = Number(values.files);
const first = Number(values.first);
Log.setLevel(AV_LOG_QUIET);
mkdirSync(FOLDER, { recursive: true });
console.log(`seed ${seed}, ${files} files`);
const detector = await openTestDetector();
const seeds = await makeSeeds(FOLDER);
const onFile = (number: number) => {
  if ((number + 1) % 100 === 0) console.log(`${number + 1} files`);
};
const onFinding = (finding: Finding) => console.log(JSON.stringify(finding));
const summary = await new Fuzzer({ seeds, files, seed, folder: FOLDER, detector, first, onFile, onFinding }).run();
await detector.close();
const { findings, ...figures } = summary;
console.log(JSON.stringify(figures, null, 2), `${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;
