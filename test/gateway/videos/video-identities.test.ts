import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { measureLeaks } from '../../../bench/leak-measure.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { writePersonPhoto } from '../../inference/analysis/person-photo.ts';
import { shownPerson } from './shown-person.ts';
import { VideoRig } from './video-rig.ts';

const MAX_LEAKED_PER_1000 = 5;
/** Whom a policy shows is decided look by look: a face that is unsure for a second is covered for it. */
const MIN_KEPT_VISIBLE = 0.8;
/** Of the photo, the two who are enrolled. */
const [ANN, BEA] = [1, 2] as const;

const folder = temporaryFolder();
let rig: VideoRig;
let clip: FaceClip;
let id: string;
let ann: string;
let bea: string;

beforeAll(async () => {
  clip = await makeFaceClip(join(folder, 'in.mp4'), { width: 1280, height: 720, seconds: 1.5 }, FIVE_PEOPLE);
  rig = await VideoRig.open();
  const enrol = async (name: string, person: number) => {
    const path = join(folder, `${name}.jpg`);
    await writePersonPhoto(FIVE_PEOPLE, person, path);
    return (await rig.enrol({ name, photos: [readFileSync(path)] })).id;
  };
  ann = await enrol('Ann', ANN);
  bea = await enrol('Bea', BEA);
  id = await rig.analysed(readFileSync(clip.path));
});
afterAll(() => rig?.close());

async function rendered(policy: object): Promise<{ output: string; report: Parameters<typeof shownPerson>[0] }> {
  await rig.rendered(id, policy);
  const output = join(folder, 'out.mp4');
  writeFileSync(output, await rig.download(id));
  return { output, report: JSON.parse((await rig.download(id, 'report')).toString()) };
}

const leaks = (output: string, keep: number[]) => measureLeaks({ source: clip.path, output, truth: clip.truth, keep });

test('people who are enrolled are named among the faces, and nobody else is', async () => {
  const named = (await rig.faces(id)).flatMap(({ identity }) => identity ?? []);
  expect(named.map(({ name }) => name).sort()).toEqual(['Ann', 'Bea']);
  for (const { similarity } of named) expect(similarity).toBeGreaterThan(0.94);
});

test('a policy shows an enrolled person and nobody else', async () => {
  const { output, report } = await rendered({ mode: 'except', identities: [ann] });
  expect(shownPerson(report, clip.truth)).toBe(ANN);
  const { keptVisible, leakedPer1000 } = await leaks(output, [ANN]);
  expect(keptVisible).toBeGreaterThan(MIN_KEPT_VISIBLE);
  expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  expect(report).toMatchObject({ policy: { mode: 'except', identities: [ann] } });
});

test('whom a policy covers stays covered, also where somebody chose the face', async () => {
  const face = (await rig.faces(id)).find(({ identity }) => identity?.id === bea).face;
  await rig.call('PATCH', `/v1/videos/${id}/faces/${face}`, { visible: true });
  const { output } = await rendered({ mode: 'only', identities: [bea] });
  const others = FIVE_PEOPLE.boxes.map((_, person) => person).filter((person) => person !== BEA);
  // The four others may be seen: none of what can be read is the one.
  expect((await leaks(output, others)).leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
  await rig.call('PATCH', `/v1/videos/${id}/faces`, { visible: false });
});

test('somebody erased is nobody any more: not named, not shown, not to be asked for', async () => {
  await rig.identities.remove(ann);
  const named = (await rig.faces(id)).flatMap(({ identity }) => identity ?? []);
  expect(named.map(({ name }) => name)).toEqual(['Bea']);
  const refused = await rig.call('POST', `/v1/videos/${id}/render`, { policy: { mode: 'except', identities: [ann] } });
  expect(refused).toMatchObject({ status: 422, body: { error: { code: 'unprocessable' } } });
});

test('somebody erased after a render was asked for is covered in it', async () => {
  const blur = { style: 'mosaic', strength: 0.5, margin: 0.3 } as const;
  const { run } = (await rig.database.videos.get(id))!;
  // Whoever is not known would be taken for somebody whom `only` does not name.
  const choice = { mode: 'only', identities: [ann], blur, faces: [] } as const;
  // As a request leaves it whose process dies before there is a job: whoever asks next has one made.
  const lost = { state: 'rendering', run: run + 1, job: null, choice } as const;
  await rig.database.videos.change(id, { run, states: ['done'] }, lost);
  await rig.reaches(id, 'done');
  const report = JSON.parse((await rig.download(id, 'report')).toString());
  expect(report.policy.mode).toBe('all');
  expect(report.tracks.every(({ visible }: { visible: boolean }) => !visible)).toBe(true);
});
