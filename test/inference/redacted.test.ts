import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
/** What is shipped; a bench that times an encoder alone may do as it likes. */
const FOLDERS = ['models', 'inference', 'sfu', 'recorder', 'gateway'];

test('a raw picture given to an encoder, or a raw frame given to viewers, does not compile', () => {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const project = join(import.meta.dirname, 'redacted.tsconfig.json');
  const { status, stdout } = spawnSync(tsc, ['--noEmit', '-p', project], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

/** The two ways to get round the brand: to assert it, or to assert anything at all. */
const ASSERTS_BRAND = /\bas\s+(unknown\s+as\s+)?Redacted\b|<Redacted<[^>]*>>\s*[\w(]/;
const ASSERTS_ANYTHING = /\bas\s+(any|never)\b|@ts-(ignore|expect-error|nocheck)/;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

const files = FOLDERS.filter((folder) => existsSync(join(ROOT, folder)))
  .flatMap(sources)
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

test('only the blur step makes a redacted picture, and only one file takes what a process sends for one', () => {
  const makers = files.filter(({ text }) => ASSERTS_BRAND.test(text));
  expect(makers.map(({ name }) => name)).toEqual([
    'inference/blur/blur-regions.ts',
    'inference/live/forked-live-engine.ts',
  ]);
});

test('nothing of the engine switches the type check off', () => {
  const cheats = files.filter(({ name, text }) => name.startsWith('inference/') && ASSERTS_ANYTHING.test(text));
  expect(cheats.map(({ name }) => name)).toEqual([]);
});
