import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { endChildren, faceblur, LAUNCHER, NODE, Running } from './run-cli.ts';

const OLD_NODE = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
  if (!existsSync(path)) return false;
  const major = Number(execFileSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }));
  return major >= 20 && major < 24;
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-launcher-'));
});
afterEach(endChildren);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A server on any free port, with its data in the test's folder. */
const serve = (options: { node?: string } = {}) =>
  new Running(['serve'], {
    ...options,
    cwd: folder,
    env: { PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: folder },
  });

describe.each([
  ['Node 24', NODE],
  ['the machine’s older Node', OLD_NODE],
])('under %s', (_name, node) => {
  test.skipIf(!node)('arguments and the exit code pass through', async () => {
    expect((await faceblur(['--version'], { node })).code).toBe(0);
    const { code, stderr } = await faceblur(['blur', 'a file that is not there.mp4', '-o', 'out.mp4'], {
      node,
      cwd: folder,
    });
    expect([code, stderr]).toEqual([2, 'faceblur: cannot read a file that is not there.mp4: no such file\n']);
  });

  test.skipIf(!node)('works through a symbolic link, from another folder', async () => {
    const launcher = join(folder, `link-${_name.length}`);
    await symlink(LAUNCHER, launcher);
    expect((await faceblur(['--version'], { node, launcher, cwd: tmpdir() })).stdout).toMatch(/^\d/);
  });

  test.skipIf(!node).each(['SIGTERM', 'SIGINT'] as const)('%s ends the server in order', async (signal) => {
    const server = serve({ node });
    const [, url] = await server.printed(/^FaceBlur Gateway on (http:\/\/127\.0\.0\.1:\d+)\n/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    server.child.kill(signal);
    expect((await server.ended).code).toBe(0);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});

describe('without dependencies', () => {
  test.each([NODE, OLD_NODE])('one line says what to run (%s)', async (node) => {
    if (!node) return;
    const copy = join(folder, 'bare', 'gateway');
    await cp(join(LAUNCHER, '..'), copy, { recursive: true });
    const { code, stderr } = await faceblur(['--help'], { node, launcher: join(copy, 'faceblur.mjs') });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^faceblur: [^\n]*run npm run setup[^\n]*\n$/);
  });
});
