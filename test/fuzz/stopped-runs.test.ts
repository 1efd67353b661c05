import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Detector } from '../../inference/detect/detector.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { seededRandom } from '../clips/picture.ts';
import { childrenOf, hasProc, isAlive } from '../clips/processes.ts';
import { readPictures } from '../clips/read-media.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';
import { findTrueFaces, openTestDetector } from '../clips/test-detector.ts';
import { LAUNCHER, NODE } from '../gateway/run-cli.ts';

/** From this score on both detectors are sure; the engine covers what scores much less. */
const SURE_SCORE = 0.6;
/** The project's bound for a process to be gone after whoever wanted its work is. */
const GONE_WITHIN_MS = 5000;
/** From before the job's process is there until after a job is done, on a machine that does little else. */
const LONGEST_RUN_MS = 3000;
/** More of them, at other moments: FUZZ_TRIALS=100 FUZZ_SEED=7 vitest run test/fuzz/stopped-runs.test.ts */
const TRIALS = Number(process.env.FUZZ_TRIALS ?? 5);
const random = seededRandom(Number(process.env.FUZZ_SEED ?? 1));
const moments = Array.from({ length: TRIALS }, () => Math.round(random() * LONGEST_RUN_MS));
/** More than a report takes, less than the output. */
const FILE_LIMIT_BYTES = 65_536;
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

const folder = temporaryFolder();
let detector: Detector;
let clip: FaceClip;
let outputs: string;

beforeAll(async () => {
  detector = await openTestDetector();
  clip = await makeFaceClip(join(folder, 'in.mp4'), { seconds: 1.5 });
});
beforeEach(() => {
  outputs = mkdtempSync(join(folder, 'outputs-'));
});
afterAll(() => detector?.close());

/** Starts `faceblur blur` behind other words of a command line. */
function start(...before: string[]) {
  const to = ['-o', join(outputs, 'out.mp4'), '--report', join(outputs, 'out.json')];
  const [command, ...args] = [...before, NODE, LAUNCHER, 'blur', clip.path, ...to];
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(command!, args, { env: { PATH, HOME }, stdio: ['ignore', 'ignore', 'pipe'] });
  const said = { stderr: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr: said.stderr }));
  return { child, ended };
}

/** All processes below one: the launcher's, and that one's job. */
function descendants(id: number): number[] {
  return childrenOf(id, '').flatMap((child) => [child, ...descendants(child)]);
}

async function expectNothingOrWhole(below: readonly number[]): Promise<void> {
  await vi.waitFor(
    () => {
      expect(below.filter(isAlive)).toEqual([]);
      expect(readdirSync(outputs).filter((name) => name.endsWith('.part'))).toEqual([]);
    },
    { timeout: GONE_WITHIN_MS },
  );
  const output = join(outputs, 'out.mp4');
  if (!existsSync(output)) return;
  expect(await readPictures(output)).toHaveLength(clip.truth.frames.length);
  expect(await findTrueFaces(output, clip.truth, detector, { minScore: SURE_SCORE, everyFrames: 5 })).toEqual([]);
}

describe.skipIf(!hasProc)('a run that is stopped (needs /proc)', () => {
  test.each(moments)('by Ctrl-C after %i ms says so in one line, and leaves nothing or all of it', async (ms) => {
    const { child, ended } = start();
    await new Promise((resolve) => setTimeout(resolve, ms));
    const below = descendants(child.pid!);
    child.kill('SIGINT');
    const { code, signal, stderr } = await ended;
    await expectNothingOrWhole(below);
    // In the first moments nobody is there yet who could answer.
    expect([0, 130, null]).toContain(code);
    if (code === null) expect(signal).toBe('SIGINT');
    if (code === 130) expect(stderr).toMatch(/^(faceblur: (warning: .*|stopped; nothing was written)\n)*$/);
    if (code !== 0) expect(readdirSync(outputs)).not.toContain('out.mp4');
  });

  test.each(moments)('by SIGKILL after %i ms leaves no process, and nothing or all of it', async (ms) => {
    const { child, ended } = start();
    await new Promise((resolve) => setTimeout(resolve, ms));
    const below = descendants(child.pid!);
    // The launcher can't take along what it started; a job sees for itself that its parent is gone.
    const jobs = [child.pid!, ...below].flatMap((id) => childrenOf(id, 'file-job-process'));
    for (const id of [child.pid!, ...below.filter((id) => !jobs.includes(id))]) killQuietly(id);
    await ended;
    await expectNothingOrWhole(below);
  });
});

test.skipIf(!hasPrlimit)('a file that may not grow further is told in one line, and nothing is left', async () => {
  const { ended } = start('prlimit', `--fsize=${FILE_LIMIT_BYTES}`);
  const { code, stderr } = await ended;
  expect(stderr).toMatch(/^(faceblur: warning: .*\n)*faceblur: [^\n]*out\.mp4[^\n]*\n$/);
  expect(code).toBe(2);
  expect(readdirSync(outputs)).toEqual([]);
});

function killQuietly(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
