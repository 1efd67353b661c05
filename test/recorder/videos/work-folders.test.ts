import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WorkFolders } from '../../../recorder/videos/work-folders.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';

const root = join(temporaryFolder(), 'work');

/** As a process of this number left it, which was killed. */
function leftBy(host: string, pid: number): string {
  const path = join(root, `${host}@${pid}@x`);
  mkdirSync(join(path, 'job-1'), { recursive: true });
  writeFileSync(join(path, 'job-1', 'input'), 'a stranger’s video');
  return path;
}

test('folders are for one process, empty at first, and gone when it closes', async () => {
  const work = await WorkFolders.open(root);
  const path = await work.make('job-1');
  writeFileSync(join(path, 'input'), 'x');
  expect(readdirSync(await work.make('job-1'))).toEqual([]);
  await work.remove('job-1');
  await work.remove('job-1');
  expect(existsSync(path)).toBe(false);
  await work.make('job-2');
  await work.close();
  expect(readdirSync(root)).toEqual([]);
});

test('what a process left that was killed is erased by the next, and nothing of those that run', async () => {
  const first = await WorkFolders.open(root);
  const own = await first.make('job-1');
  const { pid } = spawnSync('true');
  const dead = leftBy(hostname(), pid);
  const living = leftBy(hostname(), process.ppid);
  const elsewhere = leftBy('another-host', pid);
  const old = leftBy('another-host', pid + 1);
  utimesSync(old, 0, 0);
  mkdirSync(join(root, 'not ours'));
  const second = await WorkFolders.open(root);
  expect([dead, living, elsewhere, old, own].map((path) => existsSync(path))).toEqual([false, true, true, false, true]);
  expect(existsSync(join(root, 'not ours'))).toBe(true);
  await second.close();
  await first.close();
});
