import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { endChildren, faceblur, Running } from './run-cli.ts';
import { makeTestClip } from './test-clip.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-blur-'));
  await makeTestClip(join(folder, 'in.mp4'));
  await writeFile(join(folder, 'broken.mp4'), 'not a video');
});
afterEach(async () => {
  await endChildren();
  for (const name of await readdir(folder)) {
    if (name !== 'in.mp4' && name !== 'broken.mp4') await rm(join(folder, name));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const blur = (...args: string[]) => faceblur(['blur', ...args], { cwd: folder });

test('writes the video, and a last line that says what was done; no progress where it is piped', async () => {
  const { code, stdout, stderr } = await blur('in.mp4', '-o', 'out.mp4', '--report', 'out.json');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^out\.mp4: 0 faces covered in 90 frames \(320×180, 0:03\) at \d+ fps\n$/);
  expect((await stat(join(folder, 'out.mp4'))).size).toBeGreaterThan(1000);
  expect(JSON.parse(await readFile(join(folder, 'out.json'), 'utf8')).version).toBe(1);
});

test('--quiet prints nothing, and an older output is replaced', async () => {
  await writeFile(join(folder, 'out.mp4'), 'old');
  expect(await blur('in.mp4', '-o', 'out.mp4', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await stat(join(folder, 'out.mp4'))).size).toBeGreaterThan(1000);
});

test('an input that is no video ends with exit code 2 and one line, and an older output stays', async () => {
  await writeFile(join(folder, 'out.mp4'), 'old');
  const { code, stdout, stderr } = await blur('broken.mp4', '-o', 'out.mp4');
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^faceblur: [^\n]*broken\.mp4[^\n]*\n$/);
  expect(await readFile(join(folder, 'out.mp4'), 'utf8')).toBe('old');
  expect(await readdir(folder)).toHaveLength(3);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s stops the work, leaves nothing behind and ends with %i', async (signal, exitCode) => {
  const running = new Running(['blur', 'in.mp4', '-o', 'out.mp4'], { cwd: folder });
  await vi.waitFor(async () => expect(await readdir(folder)).toHaveLength(3), { timeout: 20_000, interval: 5 });
  running.child.kill(signal);
  expect(await running.ended).toEqual({
    code: exitCode,
    stdout: '',
    stderr: 'faceblur: stopped; nothing was written\n',
  });
  expect((await readdir(folder)).sort()).toEqual(['broken.mp4', 'in.mp4']);
});
