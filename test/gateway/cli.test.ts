import { link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../gateway/cli/program.ts';
import { clock, progressText } from '../../gateway/cli/progress-bar.ts';
import { type Ended, endChildren, faceblur } from './run-cli.ts';

const startedIn = process.cwd();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-cli-'));
  await writeFile(join(folder, 'in.mp4'), 'not a video');
  await writeFile(join(folder, 'old.mp4'), 'what was there before');
  await symlink('in.mp4', join(folder, 'symlink.mp4'));
  await link(join(folder, 'in.mp4'), join(folder, 'hardlink.mp4'));
  await mkdir(join(folder, 'sub'));
  await symlink('.', join(folder, 'here'));
  process.chdir(folder);
});
afterEach(endChildren);
afterAll(async () => {
  process.chdir(startedIn);
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command line that must be refused: in this process where it can be, because a new one costs most of a second. */
async function refusal(args: readonly string[], env?: Record<string, string>): Promise<string> {
  const before = await readdir(folder);
  const { code, stdout, stderr } = await (env ? faceblur(args, { cwd: folder, env }) : inProcess(args));
  expect(stderr).toMatch(/^faceblur: [^\n]+\n$/);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(await readdir(folder)).toEqual(before);
  expect(await readFile(join(folder, 'in.mp4'), 'utf8')).toBe('not a video');
  return stderr;
}

async function inProcess(args: readonly string[]): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const capture = (name: 'stdout' | 'stderr') =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    });
  const spies = [capture('stdout'), capture('stderr')];
  const code = await runCommandLine(args).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return { code, ...written };
}

describe('faceblur blur refuses, with exit code 2 and one line,', () => {
  test.each([
    ['no input', ['-o', 'out.mp4'], /missing required argument 'in'/],
    ['no output', ['in.mp4'], /--output/],
    ['a missing input', ['none.mp4', '-o', 'out.mp4'], /none\.mp4: no such file/],
    ['a folder as input', ['sub', '-o', 'out.mp4'], /sub: it is a folder/],
    ['a device as input', ['/dev/zero', '-o', 'out.mp4'], /not a regular file/],
    ['a missing output folder', ['in.mp4', '-o', 'none/out.mp4'], /none\/out\.mp4: folder none does not exist/],
    ['a folder as output', ['in.mp4', '-o', 'sub'], /sub: it is a folder/],
    ['a file as output folder', ['in.mp4', '-o', 'old.mp4/out.mp4'], /old\.mp4 is not a folder/],
    ['a device as output', ['in.mp4', '-o', '/dev/null'], /not a regular file/],
    ['the input as output', ['in.mp4', '-o', './in.mp4'], /the output is the input itself/],
    ['the input as output by another folder name', ['in.mp4', '-o', 'here/in.mp4'], /the output is the input itself/],
    ['the input as output through a symbolic link', ['in.mp4', '-o', 'symlink.mp4'], /the output is the input itself/],
    ['the input as output through a hard link', ['in.mp4', '-o', 'hardlink.mp4'], /the output is the input itself/],
    ['the input as report', ['in.mp4', '-o', 'out.mp4', '--report', 'in.mp4'], /the report would overwrite the input/],
    ['the output as report', ['in.mp4', '-o', 'out.mp4', '--report', './out.mp4'], /overwrite the output/],
    ['a missing report folder', ['in.mp4', '-o', 'out.mp4', '--report', 'none/r.json'], /none does not exist/],
    ['a strength above 1', ['in.mp4', '-o', 'out.mp4', '--strength', '1.5'], /--strength.*from 0 to 1/],
    ['a negative margin', ['in.mp4', '-o', 'out.mp4', '--margin=-0.1'], /--margin.*from 0 to 1/],
    ['a word as strength', ['in.mp4', '-o', 'out.mp4', '--strength', 'high'], /--strength.*from 0 to 1/],
    ['an empty margin', ['in.mp4', '-o', 'out.mp4', '--margin', ''], /--margin.*from 0 to 1/],
    ['an unknown style', ['in.mp4', '-o', 'out.mp4', '--style', 'fog'], /available: mosaic, solid, gaussian/],
    ['an unknown option', ['in.mp4', '-o', 'out.mp4', '--strenght', '1'], /unknown option.*--strength/],
    ['a second input', ['in.mp4', 'old.mp4', '-o', 'out.mp4'], /too many arguments/],
  ])('%s', async (_name, args, message) => {
    expect(await refusal(['blur', ...args])).toMatch(message);
  });
});

describe('configuration', () => {
  test('a malformed variable stops `serve` with its name', async () => {
    expect(await refusal(['serve'], { PORT: 'http' })).toMatch(/PORT must be a whole number/);
    expect(await refusal(['serve'], { HOST: '0.0.0.0' })).toMatch(/HOST must be a loopback address/);
  });

  test('a .env in the working folder counts, and the environment wins over it', async () => {
    const cwd = join(folder, 'sub');
    await writeFile(join(cwd, '.env'), 'PORT=http\nLOG_LEVEL=loud\n');
    const { code, stderr } = await faceblur(['serve'], { cwd, env: { LOG_LEVEL: 'info' } });
    expect([code, stderr]).toEqual([2, 'faceblur: PORT must be a whole number\n']);
  });

  test('the server’s variables do not matter to `blur`', async () => {
    const args = ['blur', 'none.mp4', '-o', 'out.mp4'];
    expect(await refusal(args, { PORT: 'http' })).toMatch(/no such file/);
  });
});

describe('help', () => {
  test('teaches: examples, defaults and exit codes', async () => {
    const main = await faceblur(['--help']);
    expect(main).toMatchObject({ code: 0, stderr: '' });
    expect(main.stdout).toMatch(/Exit codes:[\s\S]*Examples:/);
    const blur = await faceblur(['blur', '--help']);
    expect(blur).toMatchObject({ code: 0, stderr: '' });
    expect(blur.stdout).toMatch(/default: 0\.5[\s\S]*Watch the result[\s\S]*Examples:/);
  });

  test('is shown for a command line without a command, with exit code 2', async () => {
    const { code, stderr } = await faceblur([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: faceblur');
  });

  test('--version tells the version', async () => {
    expect((await faceblur(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('progress line', () => {
  const progress = { frames: 45, totalFrames: 90, fps: 61.4, etaMs: 65_000, stage: 'blurring' } as const;

  test('has percent, speed and time left', () => {
    expect(progressText(progress)).toMatch(/^█{14}░{14} {2}50% {2}61 fps {2}1:05 left$/);
  });

  test('counts frames where the length is unknown', () => {
    expect(progressText({ ...progress, totalFrames: null, etaMs: null })).toBe('45 frames  61 fps');
  });

  test('never shows more than 100 % when there are more frames than announced', () => {
    expect(progressText({ ...progress, frames: 99 })).toContain(' 100%');
  });

  test.each([
    [0, '0:00'],
    [59_600, '1:00'],
    [65_000, '1:05'],
    [3_665_000, '1:01:05'],
  ])('%i ms read %s', (ms, text) => {
    expect(clock(ms)).toBe(text);
  });
});
