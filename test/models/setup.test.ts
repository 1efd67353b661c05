import { execFile } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ensureModels } from '../../models/ensure.ts';
import { serveModels } from './model-server.ts';
import { smallModels, YUNET_BYTES } from './small-models.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** Runs the set-up step as `node setup.mjs` does. */
async function setup(env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  const file = join(ROOT, 'models', 'setup.ts');
  const running = promisify(execFile)(process.execPath, [file], { cwd: ROOT, env: { ...process.env, ...env } });
  return running.then(
    (done) => ({ code: 0, ...done }),
    (failed: { code: number; stdout: string; stderr: string }) => failed,
  );
}

test('the set-up step converts once, is silent from then on, and refuses a damaged cache in one line', async () => {
  const env = { XDG_CACHE_HOME: await temporaryFolder() };
  const path = join(env.XDG_CACHE_HOME, 'faceblur', 'models', 'ssd-mobilenet-v1.onnx');
  const first = await setup(env);
  expect(first.code).toBe(0);
  expect(first.stdout).toContain(`setup: converted ssd-mobilenet-v1 (22.1 MB) to ${path}\n`);
  const second = await setup(env);
  expect(second).toMatchObject({ code: 0, stdout: '' });
  await truncate(path, 1_000_000);
  const damaged = await setup(env);
  expect(damaged).toMatchObject({ code: 1, stdout: '' });
  expect(damaged.stderr).toMatch(/^setup: .*ssd-mobilenet-v1\.onnx is truncated: .*\n$/);
  expect(damaged.stderr.trimEnd()).not.toContain('\n');
});

test('what is new is reported once, a detector that is not to be had as one warning', async () => {
  let hasYunet = false;
  const origin = await serveModels((request, response) => {
    if (request.url?.startsWith('/ssd')) response.end('neither is this the real SSD');
    else if (hasYunet) response.end(YUNET_BYTES);
    else response.writeHead(503).end();
  });
  const options = { cacheDir: await temporaryFolder(), models: smallModels(origin) };
  const ensure = async () => {
    const done: string[] = [];
    const warnings: string[] = [];
    await ensureModels(options, { done: (line) => done.push(line), warn: (line) => warnings.push(line) });
    return { done: done.map((line) => line.replace(/ \(.*/, '')), warnings: warnings.length };
  };
  expect(await ensure()).toEqual({ done: ['downloaded ssd-mobilenet-v1'], warnings: 1 });
  expect(await ensure()).toEqual({ done: [], warnings: 1 });
  hasYunet = true;
  expect(await ensure()).toEqual({ done: ['downloaded yunet-n'], warnings: 0 });
  expect(await ensure()).toEqual({ done: [], warnings: 0 });
});
