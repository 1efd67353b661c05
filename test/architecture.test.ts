import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const MAX_LINES = 400;

/** Each folder may import itself and what stands before it. */
const LAYERS = ['models', 'inference', 'sfu', 'recorder', 'gateway'] as const;
/** The browser's side: served as files, imported by nothing and importing nothing of the server. */
const BROWSER = 'web-demo';
/** These may import everything. */
const OUTSIDE = ['bench', 'test'];
const FOLDERS = [...LAYERS, BROWSER, ...OUTSIDE];

/** Who reads the environment, beside tests and benches: config, set-up, and the file job that hands it to a child. */
const ENVIRONMENT_READERS = ['gateway/config.ts', 'models/setup.ts', 'setup.mjs', 'sfu/worker-binary/setup.ts'];

const NAMELESS = /^(utils?|misc|helpers?|common|shared|lib|stuff)$/;
const SOURCE = /\.(ts|mts|js|mjs)$/;

interface Source {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Folders whose files are made, not written. */
const MADE = /^(bench\/out|node_modules|\.git|data)(\/|$)/;

function listed(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (MADE.test(path)) return [];
    return entry.isDirectory() ? [path, ...listed(path)] : [path];
  });
}

const paths = [
  ...FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap(listed),
  ...readdirSync(ROOT).filter((name) => SOURCE.test(name)),
];
const sources: Source[] = paths
  .filter((path) => SOURCE.test(path))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/**
 * The specifiers of a module's imports: `import … from`, `import '…'`, `export … from`, `import type`, `import('…')`
 * and `require('…')`. One that is computed is given as `null`.
 */
function importsOf(text: string): (string | null)[] {
  const code = withoutComments(text);
  const found: (string | null)[] = [];
  const clause = String.raw`(?:type\s+)?[\w$*\s{},]*?`;
  const fixed = new RegExp(
    String.raw`(?:^|[;}\n])\s*(?:import\s*(?:${clause}\bfrom\s*)?|export\s+${clause}\bfrom\s*)(["'])([^"'\n]+)\1`,
    'g',
  );
  for (const [, , specifier] of code.matchAll(fixed)) found.push(specifier!);
  for (const [, argument] of code.matchAll(/(?<![\w.$])(?:import|require)\s*\(\s*([^)]*?)\s*[,)]/g)) {
    found.push(/^(["'`])([^"'`$]*)\1$/.exec(argument!)?.[2] ?? null);
  }
  return found;
}

/** Blanks comments, and leaves strings (in which `//` is no comment) as they are. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (all, string) => (string === undefined ? all.replace(/[^\n]/g, ' ') : all),
  );
}

const folderOf = (path: string): string => path.split('/')[0]!;

/** The file of the repository that an import leads to, or null for a package. */
function targetOf({ path }: Source, specifier: string): string | null {
  if (!specifier.startsWith('.') && !specifier.startsWith('/')) return null;
  return normalize(join(dirname(path), specifier))
    .split(sep)
    .join('/');
}

function mayImport(from: string, to: string): boolean {
  if (from === to || OUTSIDE.includes(from)) return true;
  const layer = (folder: string) => LAYERS.indexOf(folder as (typeof LAYERS)[number]);
  return layer(from) >= 0 && layer(to) >= 0 && layer(to) < layer(from);
}

describe('the reader of imports', () => {
  test.each([
    [`import { a } from './a.ts';`, ['./a.ts']],
    [`import type {\n  A,\n  B,\n} from "./a.ts";`, ['./a.ts']],
    [`import a, * as b from './a.ts'; import './b.ts';`, ['./a.ts', './b.ts']],
    [
      `export { a } from './a.ts';\nexport * from './b.ts';\nexport type { C } from './c.ts';`,
      ['./a.ts', './b.ts', './c.ts'],
    ],
    [`export * as a from './a.ts';`, ['./a.ts']],
    [`const a = await import('./a.ts');`, ['./a.ts']],
    [`type A = import('./a.ts').A;`, ['./a.ts']],
    [`const a = require('./a.js');`, ['./a.js']],
    [`const a = await import(name);`, [null]],
    [`// import './a.ts'\n/* import './b.ts' */\nconst url = 'http://a'; import './c.ts';`, ['./c.ts']],
    [`export const a = 'x';\nconst from = './a.ts';`, []],
    [`import.meta.resolve('./a.ts'); important('./b.ts');`, []],
  ])('%j', (text, specifiers) => {
    expect(importsOf(text)).toEqual(specifiers);
  });
});

test('imports point one way: models ← inference ← sfu ← recorder ← gateway, and the web demo stands apart', () => {
  const wrong = sources.flatMap((source) =>
    importsOf(source.text).flatMap((specifier) => {
      const target = specifier === null ? null : targetOf(source, specifier);
      if (target === null || !FOLDERS.includes(folderOf(source.path))) return [];
      return mayImport(folderOf(source.path), folderOf(target)) ? [] : [`${source.path} → ${target}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test('the layers import by names that can be read here', () => {
  const computed = sources.filter(
    ({ path, text }) => !OUTSIDE.includes(folderOf(path)) && importsOf(text).includes(null),
  );
  expect(computed.map(({ path }) => path)).toEqual([]);
});

test('only the configuration reads the environment', () => {
  const readers = sources.filter(
    ({ path, text }) =>
      !OUTSIDE.includes(folderOf(path)) && /\bprocess\s*(\.|\[['"])\s*env\b/.test(withoutComments(text)),
  );
  expect(readers.map(({ path }) => path).sort()).toEqual(ENVIRONMENT_READERS);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = sources.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES);
  expect(long.map(({ path }) => path)).toEqual([]);
});

test('no file or folder has a name that says nothing', () => {
  expect(paths.filter((path) => NAMELESS.test(basename(path).replace(/\..*$/, '')))).toEqual([]);
});

test('no module keeps state of its own', () => {
  const stateful = sources.filter(
    ({ path, text }) =>
      (LAYERS as readonly string[]).includes(folderOf(path)) && /^(export\s+)?(let|var)\s/m.test(text),
  );
  expect(stateful.map(({ path }) => path)).toEqual([]);
});
