import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type BlurFileHooks, blurFile } from '../../inference/blur-file.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { childrenOf, hasProc, isAlive } from '../clips/processes.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

/** The project's bound for a process to be gone after whoever wanted its work is. */
const GONE_WITHIN_MS = 5000;
const JOB = 'file-job-process';

const folder = temporaryFolder();
const input = join(folder, 'in.mp4');
let outputs: string;

beforeAll(() => makeFaceClip(input, { seconds: 4 }));
beforeEach(() => {
  outputs = mkdtempSync(join(folder, 'outputs-'));
});
afterEach(() => gone(process.pid));

async function gone(parent: number): Promise<void> {
  if (hasProc) await vi.waitFor(() => expect(childrenOf(parent, JOB)).toEqual([]), { timeout: GONE_WITHIN_MS });
}

/** Starts a job; `onBegun` is called once, when its files are open. */
function blur(hooks: BlurFileHooks, onBegun?: () => void): Promise<unknown> {
  let begun = onBegun;
  const onProgress = () => {
    begun?.();
    begun = undefined;
  };
  return blurFile(
    { input, output: join(outputs, 'out.mp4'), report: join(outputs, 'out.json') },
    { ...hooks, onProgress },
  );
}

test('a job that is aborted midway leaves no process and no file', async () => {
  const abort = new AbortController();
  let filesAtAbort: string[] = [];
  const blurring = blur({ signal: abort.signal }, () => {
    filesAtAbort = readdirSync(outputs);
    abort.abort();
  });
  await expect(blurring).rejects.toMatchObject({ code: 'aborted', fault: 'input' });
  expect(filesAtAbort).toHaveLength(2);
  expect(readdirSync(outputs)).toEqual([]);
});

test('while it works its files are hidden, and an older output stays until the new one is whole', async () => {
  writeFileSync(join(outputs, 'out.mp4'), 'older');
  const abort = new AbortController();
  let names: string[] = [];
  const blurring = blur({ signal: abort.signal }, () => {
    names = readdirSync(outputs);
    abort.abort();
  });
  await expect(blurring).rejects.toMatchObject({ code: 'aborted' });
  expect(names.filter((name) => !name.startsWith('.') || !name.endsWith('.part'))).toEqual(['out.mp4']);
  expect(readdirSync(outputs)).toEqual(['out.mp4']);
});

test('a job that is aborted before it starts starts nothing', async () => {
  await expect(blur({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
  expect(readdirSync(outputs)).toEqual([]);
});

test.skipIf(!hasProc)(
  'a job whose process is killed says so, as our fault, and leaves no file (needs /proc)',
  async () => {
    const blurring = blur({}, () => {
      for (const id of childrenOf(process.pid, JOB)) process.kill(id, 'SIGKILL');
    });
    await expect(blurring).rejects.toMatchObject({
      code: 'child-died',
      fault: 'ours',
      message: expect.stringContaining('SIGKILL'),
    });
    expect(readdirSync(outputs)).toEqual([]);
  },
);

test.skipIf(!hasProc).each(['SIGKILL', 'SIGTERM'] as const)(
  'after %s of the parent the job’s process ends and takes its files with it (needs /proc)',
  async (signal) => {
    const args = [
      join(import.meta.dirname, 'blur-in-a-process.ts'),
      input,
      join(outputs, 'out.mp4'),
      join(outputs, 'out.json'),
    ];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(parent, 'exit');
    await once(parent.stdout, 'data');
    const jobs = childrenOf(parent.pid!, JOB);
    expect(jobs).toHaveLength(1);
    expect(readdirSync(outputs)).toHaveLength(2);
    parent.kill(signal);
    await ended;
    await vi.waitFor(() => expect(jobs.filter(isAlive)).toEqual([]), { timeout: GONE_WITHIN_MS });
    expect(readdirSync(outputs)).toEqual([]);
  },
);
