import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { childrenOf, hasProc, isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

/** The project's bound for a process to be gone after whoever wanted its work is. */
const GONE_WITHIN_MS = 5000;

const folder = temporaryFolder();
const input = join(folder, 'in.mp4');

beforeAll(() => makeFaceClip(input, { seconds: 4 }));

test.skipIf(!hasProc).each(['analysing', 'blurring'])(
  'a parent that is killed in stage %s leaves no process and no file (needs /proc)',
  async (stage) => {
    const outputs = mkdtempSync(join(folder, 'outputs-'));
    const program = join(import.meta.dirname, 'blur-people-in-a-process.ts');
    const parent = spawn(process.execPath, [program, input, join(outputs, 'out.mp4')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(parent, 'exit');
    for await (const text of parent.stdout.setEncoding('utf8')) if (String(text).includes(stage)) break;
    const jobs = childrenOf(parent.pid!, 'file-job-process');
    expect(jobs).toHaveLength(1);
    // The analysis, and the output once there is one.
    expect(readdirSync(outputs)).toHaveLength(stage === 'analysing' ? 1 : 2);
    parent.kill('SIGKILL');
    await ended;
    await vi.waitFor(() => expect(jobs.filter(isAlive)).toEqual([]), { timeout: GONE_WITHIN_MS });
    expect(readdirSync(outputs)).toEqual([]);
  },
);
