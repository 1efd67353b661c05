import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findModel, loadManifest, MODEL_KINDS } from '../../models/manifest.ts';
import { resolveModel, resolveModelOf } from '../../models/resolve.ts';
import { scrfd } from '../inference/families/signatures.ts';
import { endChildren, faceblur } from './run-cli.ts';

const { entry, model } = scrfd({});

let folder: string;
/** A home whose cache holds a detector and one of another kind, and a folder of the user's own with a detector. */
let env: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-models-'));
  const modelsDir = join(folder, 'mine');
  await mkdir(modelsDir);
  await writeFile(join(modelsDir, entry.file), model);
  await writeFile(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [entry] }));
  env = { XDG_CACHE_HOME: join(folder, 'cache'), FACEBLUR_MODELS_DIR: modelsDir };
  const cacheDir = join(folder, 'cache', 'faceblur', 'models');
  await resolveModel('tiny-face', { cacheDir });
  await resolveModelOf('attributes', 'expression', { cacheDir });
});
afterEach(endChildren);
afterAll(() => rm(folder, { recursive: true, force: true }));

const models = (args: readonly string[] = [], more: Record<string, string> = {}) =>
  faceblur(['models', ...args], { cwd: folder, env: { ...env, ...more } });

interface Listed {
  readonly name: string;
  readonly path: string | null;
  readonly default: boolean;
  readonly problem: string | null;
  readonly cost: { memoryBytes: number; loadMs: number; runMs: number } | null;
}

test('lists each model with its licence and where it is, the default one marked', async () => {
  const { code, stdout, stderr } = await models();
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^ +NAME +KIND +FAMILY +LICENCE +SIZE +WHERE$/);
  expect(lines).toHaveLength(1 + loadManifest(undefined, MODEL_KINDS).length + 1);
  expect(lines.filter((line) => line.startsWith('*'))).toEqual([
    expect.stringMatching(/^\* +yunet-n +detector +yunet /),
    expect.stringMatching(/^\* +face-recogniser +recogniser +dlib /),
  ]);
  expect(stdout).toMatch(/ssd-mobilenet-v1 .* MIT +22\.1 MB +not here; comes from @vladmandic\/face-api 1\.7\.15 when/);
  expect(stdout).toMatch(/tiny-face .* 0\.8 MB +\/.*\/cache\/faceblur\/models\/tiny-face\.onnx\n/);
  expect(stdout).toMatch(/my-scrfd +detector +scrfd +MIT .*\/mine\/my-scrfd\.onnx\n/);
});

test('--json tells the same, and FACEBLUR_DETECTOR moves the mark', async () => {
  const { code, stdout } = await models(['--json'], { FACEBLUR_DETECTOR: 'my-scrfd' });
  expect(code).toBe(0);
  const listed = JSON.parse(stdout) as Listed[];
  expect(listed.filter((one) => one.default).map(({ name }) => name)).toEqual(['face-recogniser', 'my-scrfd']);
  expect(listed.find(({ name }) => name === 'tiny-face')).toEqual({
    name: 'tiny-face',
    kind: 'detector',
    family: 'tiny-face',
    licence: 'MIT',
    bytes: findModel(loadManifest(), 'tiny-face').bytes,
    default: false,
    path: join(folder, 'cache', 'faceblur', 'models', 'tiny-face.onnx'),
    source: '@vladmandic/face-api 1.7.15',
    problem: null,
    cost: null,
  });
});

test('--load measures what is here, and tells what does not load', async () => {
  const modelsDir = join(folder, 'damaged');
  await mkdir(modelsDir);
  const wrong = { ...entry, outputs: { ...entry.outputs, scores: ['a', 'b', 'c'] } };
  const short = { ...entry, name: 'short', file: 'short.onnx' };
  await writeFile(join(modelsDir, 'manifest.json'), JSON.stringify({ models: [wrong, short] }));
  await writeFile(join(modelsDir, entry.file), model);
  await writeFile(join(modelsDir, short.file), model);
  await truncate(join(modelsDir, short.file), 100);
  const { code, stdout } = await models(['--load', '--json'], { FACEBLUR_MODELS_DIR: modelsDir });
  expect(code).toBe(0);
  const listed = new Map((JSON.parse(stdout) as Listed[]).map((one) => [one.name, one]));
  for (const name of ['tiny-face', 'expression']) {
    const { cost } = listed.get(name)!;
    // The runtime's own code and buffers are most of it.
    expect(cost!.memoryBytes).toBeGreaterThan(5e6);
    expect(cost!.memoryBytes).toBeLessThan(500e6);
    expect(cost!.loadMs).toBeGreaterThan(0);
    expect(cost!.runMs).toBeGreaterThan(0);
  }
  expect(listed.get('ssd-mobilenet-v1')).toMatchObject({ path: null, cost: null, problem: null });
  expect(listed.get('my-scrfd')).toMatchObject({ cost: null, problem: expect.stringContaining('no output a') });
  const size = `has 100 bytes, not ${model.length}. `;
  expect(listed.get('short')).toMatchObject({ cost: null, problem: expect.stringContaining(size) });
});

test('a detector that is none, and a manifest that is wrong, are refused with exit code 2', async () => {
  const unknown = await models([], { FACEBLUR_DETECTOR: 'x' });
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(/^faceblur: FACEBLUR_DETECTOR: no model is called x; the manifest has .*my-scrfd\n$/);
  const modelsDir = join(folder, 'broken');
  await mkdir(modelsDir);
  await writeFile(join(modelsDir, 'manifest.json'), '{"models": [');
  const broken = await models([], { FACEBLUR_MODELS_DIR: modelsDir });
  expect(broken).toMatchObject({ code: 2, stdout: '' });
  expect(broken.stderr).toMatch(/^faceblur: FACEBLUR_MODELS_DIR: .*manifest\.json cannot be read as JSON: [^\n]+\n$/);
});

test('its help tells of the mark, of --load and of the user’s own', async () => {
  const { code, stdout } = await models(['--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\* marks[\s\S]*--load[\s\S]*manifest\.json[\s\S]*Examples:/);
});
