import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILD_PACKAGES } from '../../sfu/worker-binary/compile.ts';
import { installCommand, installPackages, missingPackages } from '../../sfu/worker-binary/debian-packages.ts';
import { TEST_PACKAGES } from './packages.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faceblur-path-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function addProgram(name: string): void {
  writeFileSync(join(folder, name), '');
  chmodSync(join(folder, name), 0o755);
}

test('a package counts as there only with all of its programs', () => {
  const packages = [
    { name: 'ffmpeg', programs: ['ffmpeg', 'ffprobe'] },
    { name: 'chromium', programs: ['chromium'] },
  ];
  expect(missingPackages(packages, folder)).toEqual(['ffmpeg', 'chromium']);
  addProgram('ffmpeg');
  addProgram('chromium');
  expect(missingPackages(packages, folder)).toEqual(['ffmpeg']);
  addProgram('ffprobe');
  expect(missingPackages(packages, `/nonexistent:${folder}`)).toEqual([]);
});

test('a program that may not be run does not count', () => {
  writeFileSync(join(folder, 'tool'), '');
  expect(missingPackages([{ name: 'tool', programs: ['tool'] }], folder)).toEqual(['tool']);
});

test('a package without programs on the PATH is told by its files, in whatever version', () => {
  const server = [{ name: 'server', files: [`${folder}/{lib,lib64}/*/bin/serve`] }];
  expect(missingPackages(server, '')).toEqual(['server']);
  mkdirSync(join(folder, 'lib', '15', 'bin'), { recursive: true });
  expect(missingPackages(server, '')).toEqual(['server']);
  writeFileSync(join(folder, 'lib', '15', 'bin', 'serve'), '');
  expect(missingPackages(server, '')).toEqual([]);
});

test('every package of the project says how it is told', () => {
  for (const { name, programs = [], files = [] } of [...TEST_PACKAGES, ...BUILD_PACKAGES]) {
    expect([...programs, ...files], name).not.toEqual([]);
    for (const pattern of files) expect(pattern, name).toMatch(/^(\/|\{\/)/);
  }
});

test('what a user is told to run installs without further questions', () => {
  expect(installCommand(['g++', 'make'])).toBe('apt-get install -y --no-install-recommends g++ make');
});

describe('installing', () => {
  const path = process.env.PATH;

  afterEach(() => {
    process.env.PATH = path;
  });

  /** Puts an apt-get before the real one that writes down how it is called, and ends as told. */
  function fakeAptGet(code: number): () => string[] {
    const calls = join(folder, 'calls');
    const script = `#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> ${calls}\necho says why\nexit ${code}\n`;
    writeFileSync(join(folder, 'apt-get'), script, { mode: 0o755 });
    process.env.PATH = `${folder}:${path}`;
    return () => readFileSync(calls, 'utf8').trim().split('\n');
  }

  test('refreshes the lists, then installs, and asks nothing', () => {
    const calls = fakeAptGet(0);
    expect(installPackages(['g++', 'make'])).toBeNull();
    expect(calls()).toEqual([
      expect.stringMatching(/^noninteractive .*update -q$/),
      expect.stringMatching(/^noninteractive .*install -y --no-install-recommends g\+\+ make$/),
    ]);
  });

  test('tells what failed, and where it is written', () => {
    fakeAptGet(100);
    const failure = installPackages(['make']);
    expect(failure).toMatch(/^apt-get update ended with 100, apt-get install ended with 100 \(see .*apt-get\.log\)$/);
    const log = /see (.*)\)/.exec(failure!)![1]!;
    expect(readFileSync(log, 'utf8')).toContain('says why');
    rmSync(dirname(log), { recursive: true });
  });
});
