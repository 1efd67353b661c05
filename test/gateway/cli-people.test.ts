import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { findPeople } from '../../gateway/cli/people-photos.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../clips/face-photo.ts';
import { readReport } from '../clips/report.ts';
import { writePersonPhoto } from '../inference/analysis/person-photo.ts';
import { endChildren, faceblur } from './run-cli.ts';

/** The project's bound for legible face-frames. */
const MAX_LEAKED_PER_1000 = 5;
/** Asked of whoever is kept. */
const MIN_KEPT_VISIBLE = 0.9;
/** Which of the photo's people. */
const [KEPT, OTHER] = [1, 2];

let folder: string;
let clip: FaceClip;
const at = (...path: string[]) => join(folder, ...path);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-people-'));
  clip = await makeFaceClip(at('group.mp4'), { width: 1280, height: 720 }, FIVE_PEOPLE);
  for (const name of ['person', 'people/ann', 'people/bob', 'mixed/inner', 'empty', 'deep/one/two']) {
    await mkdir(at(name), { recursive: true });
  }
  await writePersonPhoto(FIVE_PEOPLE, KEPT, at('person', '1.jpg'));
  await writePersonPhoto(FIVE_PEOPLE, KEPT, at('people/ann', 'a.jpg'));
  await writePersonPhoto(FIVE_PEOPLE, OTHER, at('people/bob', 'b.jpg'));
  await copyFile(at('person', '1.jpg'), at('mixed', '1.jpg'));
  await writeFile(at('person', '.DS_Store'), 'hidden');
  await copyFile(FIVE_PEOPLE.path, at('group.jpg'));
  await writeFile(at('text.jpg'), 'no photo');
  await writeFile(at('nobody.ppm'), 'P6 2 2 255 ............');
});
afterEach(endChildren);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function blur(...args: string[]): ReturnType<typeof faceblur> {
  const end = await faceblur(['blur', 'group.mp4', ...args], { cwd: folder });
  // Which detector there is is not what is tested here.
  return { ...end, stderr: end.stderr.replace(/^faceblur: warning: yunet.*Using ssd-mobilenet.*\n/gm, '') };
}

test('--keep shows exactly that person, and the report says so', async () => {
  const { code, stdout, stderr } = await blur('-o', 'kept.mp4', '--keep', 'person', '--report', 'kept.json');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^kept\.mp4: \d+ faces covered and 1 shown in 60 frames \(1280×720, 0:02\) at \d+ fps\n$/);
  const figures = await measureLeaks({ source: clip.path, output: at('kept.mp4'), truth: clip.truth, keep: [KEPT] });
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  expect(figures.keptVisible).toBeGreaterThanOrEqual(MIN_KEPT_VISIBLE);
  const { model, policy, tracks } = readReport(at('kept.json'));
  expect(policy).toMatchObject({ mode: 'except', identities: ['person'] });
  expect(model.recogniser).toBe('face-recogniser');
  expect(new Set(tracks.map(({ id }) => id)).size).toBe(tracks.length);
  expect(tracks.filter(({ visible }) => visible).every(({ identity }) => identity === 'person')).toBe(true);
  expect(tracks.filter(({ identity }) => identity === 'person').some(({ visible }) => visible)).toBe(true);
});

test('--only covers the people of a folder of folders, and shows those who surely are others', async () => {
  const { code, stderr } = await blur('-o', 'only.mp4', '--only', 'people', '--report', 'only.json', '--quiet');
  expect([code, stderr]).toEqual([0, '']);
  const figures = await measureLeaks({
    source: clip.path,
    output: at('only.mp4'),
    truth: clip.truth,
    keep: [0, 3, 4],
  });
  expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  const { policy, tracks } = readReport(at('only.json'));
  expect(policy).toMatchObject({ mode: 'only', identities: ['ann', 'bob'] });
  const named = tracks.filter(({ identity }) => identity !== null);
  expect(new Set(named.map(({ identity }) => identity))).toEqual(new Set(['ann', 'bob']));
  expect(named.every(({ visible }) => !visible)).toBe(true);
});

test.each([
  ['a photo of several people', ['--keep', 'group.jpg'], /^faceblur: group\.jpg: there are 5 faces/],
  ['what is no photo', ['--keep', 'text.jpg'], /^faceblur: text\.jpg: /],
  ['a photo that is missing', ['--only', 'none.jpg'], /^faceblur: cannot read none\.jpg: no such file/],
  ['an empty folder', ['--keep', 'empty'], /^faceblur: there is no photo in empty/],
  ['both at once', ['--keep', 'person', '--only', 'people'], /^faceblur: --keep and --only contradict each other/],
])('%s ends with exit code 2 and one line, and nothing is written', async (_, args, message) => {
  const before = await readdir(folder);
  const { code, stdout, stderr } = await blur('-o', 'refused.mp4', ...args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(await readdir(folder)).toEqual(before);
});

test('help tells what the options do', async () => {
  const { stdout } = await faceblur(['blur', '--help'], { cwd: folder });
  expect(stdout).toContain('--keep <path>');
  expect(stdout).toContain('--only <path>');
  expect(stdout).toContain('a folder of folders is one person each');
});

describe('photos of people', () => {
  const names = (...paths: string[]) =>
    findPeople(paths.map((path) => at(path))).map(({ name, photos }) => [
      name,
      photos.map((path) => path.slice(folder.length + 1)),
    ]);

  test('a photo is one person, a folder is one person, a folder of folders is one person each', () => {
    expect(names('person/1.jpg')).toEqual([['1', ['person/1.jpg']]]);
    expect(names('person')).toEqual([['person', ['person/1.jpg']]]);
    expect(names('people/')).toEqual([
      ['ann', ['people/ann/a.jpg']],
      ['bob', ['people/bob/b.jpg']],
    ]);
    expect(names('people', 'person', 'people/ann')).toEqual([
      ['ann', ['people/ann/a.jpg', 'people/ann/a.jpg']],
      ['bob', ['people/bob/b.jpg']],
      ['person', ['person/1.jpg']],
    ]);
  });

  test.each([
    ['mixed', /mixed holds photos beside folders/],
    ['deep', /two is a folder too deep/],
  ])('%s is refused', (path, message) => {
    expect(() => names(path)).toThrow(message);
  });

  test('more photos of a person than are taken are refused before any is read', async () => {
    await mkdir(at('many'));
    for (let i = 0; i < 21; i++) await writeFile(at('many', `${i}.jpg`), 'x');
    expect(() => names('many')).toThrow(/many has 21 photos; at most 20/);
  });
});
