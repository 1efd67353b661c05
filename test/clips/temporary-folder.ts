import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Log } from 'node-av';
import { AV_LOG_FATAL } from 'node-av/constants';
import { afterAll } from 'vitest';

/** A new empty folder that is removed after the file's tests. FFmpeg says nothing of the damage that tests do. */
export function temporaryFolder(): string {
  Log.setLevel(AV_LOG_FATAL);
  const folder = mkdtempSync(join(tmpdir(), 'faceblur-inference-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
