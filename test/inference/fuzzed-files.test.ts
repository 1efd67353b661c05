import { Log } from 'node-av';
import { AV_LOG_QUIET } from 'node-av/constants';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../clips/temporary-folder.ts';
import { openTestDetector } from '../clips/test-detector.ts';
import { Fuzzer } from '../fuzz/fuzzer.ts';
import { makeSeeds } from '../fuzz/seeds.ts';

/** `npm run fuzz` does thousands, of a new seed each time. */
const FILES = 39;
const SEED = 4;

const folder = temporaryFolder();

test('harmed files of every container are refused as their own fault, or come out with every face covered', async () => {
  Log.setLevel(AV_LOG_QUIET);
  const detector = await openTestDetector();
  try {
    const seeds = await makeSeeds(folder);
    const summary = await new Fuzzer({ seeds, files: FILES, seed: SEED, folder, detector }).run();
    expect(summary.findings).toEqual([]);
    const refused = Object.values(summary.refused).reduce((all, count) => all + count, 0);
    expect(summary.blurred + refused).toBe(FILES);
    expect(summary.blurred).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  } finally {
    await detector.close();
  }
});
