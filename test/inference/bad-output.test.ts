import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blurFile } from '../../inference/blur-file.ts';
import type { InferenceErrorCode } from '../../inference/errors.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const input = at('in.mp4');
const isRoot = process.getuid?.() === 0;

/** Less than the output of the clip, and more than the pages that an empty file system takes. */
const SMALL_DISK = '128k';
const disk = at('disk');
const fullDisk = isRoot && mountSmallDisk();

function mountSmallDisk(): boolean {
  mkdirSync(disk);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}`, 'tmpfs', disk]).status === 0;
}

beforeAll(() => makeFaceClip(input, { seconds: 1.5 }));
afterAll(() => {
  if (fullDisk) spawnSync('umount', [disk]);
});

async function expectRefused(
  options: { output: string; report?: string },
  code: InferenceErrorCode,
  named: string,
): Promise<void> {
  const error = await blurFile({ input, ...options }).then(
    () => 'it was blurred',
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'InferenceError', code, fault: 'input' });
  expect(error.message).toMatch(/^[^\n]+$/);
  expect(error.message).toContain(named);
  expect(error.message).not.toContain('.part');
}

test('a folder that does not exist', async () => {
  await expectRefused({ output: at('none/out.mp4') }, 'output-unwritable', at('none/out.mp4'));
});

test('a folder under the output’s name', async () => {
  mkdirSync(at('taken.mp4'));
  await expectRefused({ output: at('taken.mp4'), report: at('out.json') }, 'output-unwritable', at('taken.mp4'));
  expect(readdirSync(folder).filter((name) => /out|part/.test(name))).toEqual([]);
});

test('a folder under the report’s name, or none for it', async () => {
  mkdirSync(at('outputs'));
  const output = at('outputs/out.mp4');
  await expectRefused({ output, report: folder }, 'output-unwritable', folder);
  await expectRefused({ output, report: at('none/out.json') }, 'output-unwritable', at('none/out.json'));
  expect(readdirSync(at('outputs'))).toEqual([]);
});

test.skipIf(isRoot)('a folder that may not be written to (needs a user who is not root)', async () => {
  mkdirSync(at('locked'));
  chmodSync(at('locked'), 0o500);
  await expectRefused({ output: at('locked/out.mp4') }, 'output-unwritable', at('locked/out.mp4'));
});

test.skipIf(!fullDisk)('a disk that is full before the output is whole (needs root and mount)', async () => {
  await expectRefused({ output: join(disk, 'out.mp4') }, 'no-space', join(disk, 'out.mp4'));
  expect(readdirSync(disk)).toEqual([]);
});

test.skipIf(!fullDisk)('a disk that is full for the report (needs root and mount)', async () => {
  writeFileSync(join(disk, 'full'), '');
  spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'full')}`, 'bs=4096']);
  await expectRefused({ output: at('out.mp4'), report: join(disk, 'out.json') }, 'no-space', join(disk, 'out.json'));
  expect(readdirSync(disk)).toEqual(['full']);
  expect(readdirSync(folder).filter((name) => /^\.?out\.mp4/.test(name))).toEqual([]);
});
