import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadableStream } from 'node:stream/web';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeUpload } from '../../gateway/demo/upload.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-upload-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const signal = new AbortController().signal;
const store = (body: ReadableStream, options = {}) =>
  writeUpload(body, join(folder, 'input'), { maxBytes: 100, idleMs: 1000, signal, ...options });

/** Brings `chunks`, one every `everyMs`, and ends, or goes silent where `ends` is false. */
function slowBody(chunks: readonly string[], everyMs: number, ends = true): ReadableStream {
  const left = [...chunks];
  return new ReadableStream({
    pull: async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      const chunk = left.shift();
      if (chunk !== undefined) controller.enqueue(Buffer.from(chunk));
      else if (ends) controller.close();
      else await new Promise(() => {});
    },
  });
}

test('a slow upload is taken for as long as it moves', async () => {
  await store(slowBody(['a', 'b', 'c', 'd'], 100), { idleMs: 300 });
  expect(await readFile(join(folder, 'input'), 'utf8')).toBe('abcd');
});

test('a silent upload is given up', async () => {
  const stored = store(slowBody(['a'], 0, false), { idleMs: 50 });
  await expect(stored).rejects.toMatchObject({ code: 'upload-incomplete' });
});

test('a limit names itself in units that people read', async () => {
  const body = slowBody(['x'.repeat(5000)], 0);
  await expect(store(body, { maxBytes: 1536 })).rejects.toMatchObject({
    code: 'upload-too-large',
    message: 'the clip is larger than 1.5 KiB, the limit of this server',
  });
});

test('a folder that is not there is the server’s fault, not the client’s', async () => {
  const options = { maxBytes: 100, idleMs: 1000, signal };
  const stored = writeUpload(slowBody(['a'], 0), join(folder, 'none', 'input'), options);
  await expect(stored).rejects.toMatchObject({ code: 'internal' });
});
