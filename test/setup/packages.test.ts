import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { missingPackages } from './packages.ts';

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
  expect(missingPackages(folder)).toEqual(['ffmpeg', 'chromium']);
  addProgram('ffmpeg');
  addProgram('chromium');
  expect(missingPackages(folder)).toEqual(['ffmpeg']);
  addProgram('ffprobe');
  expect(missingPackages(`/nonexistent:${folder}`)).toEqual([]);
});
