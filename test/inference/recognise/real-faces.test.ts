import type { Frame } from 'node-av';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgeGenderReader, ExpressionReader } from '../../../inference/recognise/face-attributes.ts';
import { refusalOf } from '../../../inference/recognise/look-quality.ts';
import { similarity } from '../../../inference/recognise/similarity.ts';
import type { Detection, Landmarks, Point } from '../../../inference/track/box.ts';
import { findModel, loadManifest } from '../../../models/manifest.ts';
import { type FacePhoto, FIVE_PEOPLE, FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { type FaceNets, openFaceNets, photoFrame } from './open-nets.ts';

/** The same people by YuNet, at 640 pixels of the longer side. */
const YUNET_POINTS: readonly Landmarks[] = [
  [
    [1433, 511],
    [1517, 500],
    [1465, 565],
    [1458, 605],
    [1528, 594],
  ],
  [
    [427, 992],
    [516, 983],
    [477, 1039],
    [444, 1090],
    [524, 1083],
  ],
  [
    [1139, 293],
    [1213, 285],
    [1165, 337],
    [1157, 375],
    [1218, 368],
  ],
  [
    [675, 516],
    [750, 518],
    [737, 559],
    [678, 602],
    [740, 604],
  ],
  [
    [846, 201],
    [924, 205],
    [893, 248],
    [844, 276],
    [908, 280],
  ],
];
/** Of the distance of the eyes. Two models' points of one face lie 8 % apart, 13 % at most times. */
const MAX_APART = 0.2;

let nets: FaceNets;
beforeAll(async () => {
  nets = await openFaceNets();
});
afterAll(() => nets?.close());

/** The faces of a photo that is shown `scale` times as large. */
function facesOf({ boxes }: FacePhoto, scale = 1): Detection[] {
  return boxes.map(([x, y, w, h]) => ({ x: x * scale, y: y * scale, w: w * scale, h: h * scale, score: 0.9 }));
}

async function embed(picture: Frame, face: Detection): Promise<Float32Array> {
  const look = nets.embedder.look(picture, await nets.finder.complete(picture, face));
  expect(refusalOf(look!.quality)).toBeNull();
  return nets.embedder.embed(look!.chip);
}

async function embedAll(picture: Frame, faces: readonly Detection[]): Promise<Float32Array[]> {
  const embeddings: Float32Array[] = [];
  for (const face of faces) embeddings.push(await embed(picture, face));
  return embeddings;
}

test('the 68-landmark net finds YuNet’s five points', async () => {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  for (const [i, face] of facesOf(FIVE_PEOPLE).entries()) {
    const found = await nets.finder.find(picture, face);
    const expected = YUNET_POINTS[i]!;
    const eyes = distance(expected[0], expected[1]);
    const apart = found.map((point, k) => distance(point, expected[k]!) / eyes);
    expect(apart.reduce((sum, value) => sum + value) / 5, `face ${i}: ${apart}`).toBeLessThan(MAX_APART);
  }
});

test('landmarks that the detector gave stay as they are', async () => {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  const [face] = facesOf(FIVE_PEOPLE) as [Detection];
  const complete = await nets.finder.complete(picture, { ...face, landmarks: YUNET_POINTS[0]! });
  expect(complete.landmarks).toBe(YUNET_POINTS[0]);
});

test('a face of no size has no landmarks and no attributes', async () => {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  for (const w of [0, Number.NaN]) {
    const face = { x: 10, y: 10, w, h: w };
    await expect(nets.finder.find(picture, face)).rejects.toMatchObject({ code: 'run-failed' });
    await expect(nets.ages.read(picture, face)).rejects.toMatchObject({ code: 'run-failed' });
  }
});

test('a person stays the same in a smaller, darker or blurred photo, and nearer than anyone else', async () => {
  const { accept } = nets.embedder.thresholds;
  const known = await embedAll(await photoFrame(FIVE_PEOPLE.path), facesOf(FIVE_PEOPLE));
  const width = 768;
  const changed: [string, Frame, number][] = [
    ['smaller', await photoFrame(FIVE_PEOPLE.path, (photo) => photo.resize(width)), width / 1920],
    ['darker', await photoFrame(FIVE_PEOPLE.path, (photo) => photo.linear(0.6, 5)), 1],
    ['blurred', await photoFrame(FIVE_PEOPLE.path, (photo) => photo.blur(1.5)), 1],
  ];
  for (const [what, picture, scale] of changed) {
    for (const [i, embedding] of (await embedAll(picture, facesOf(FIVE_PEOPLE, scale))).entries()) {
      const to = known.map((other) => similarity(embedding, other));
      expect(to[i], `${what}, face ${i}`).toBeGreaterThanOrEqual(accept);
      expect(to.indexOf(Math.max(...to)), `${what}, face ${i}`).toBe(i);
    }
  }
});

test('aligned, a face that lies on its side gives the embedding that it gives upright', async () => {
  const upright = await photoFrame(FIVE_PEOPLE.path);
  const turned = await photoFrame(FIVE_PEOPLE.path, (photo) => photo.rotate(90));
  const { height } = upright;
  for (const [i, landmarks] of YUNET_POINTS.entries()) {
    const face = { ...facesOf(FIVE_PEOPLE)[i]!, landmarks };
    const sideways = landmarks.map(([x, y]): Point => [height - 1 - y, x]) as unknown as Landmarks;
    const first = nets.embedder.look(upright, face)!;
    const embedding = await nets.embedder.embed(first.chip);
    const { quality, chip } = nets.embedder.look(turned, { ...face, landmarks: sideways })!;
    expect(similarity(embedding, await nets.embedder.embed(chip))).toBeGreaterThan(0.995);
    expect(Math.abs(quality.roll)).toBeGreaterThan(70);
    expect(refusalOf(quality)).toBe('turned');
  }
});

test('an embedding is of unit length, and the same each time', async () => {
  const picture = await photoFrame(FOUR_PEOPLE.path);
  const [face] = facesOf(FOUR_PEOPLE) as [Detection];
  const [first, second] = [await embed(picture, face), await embed(picture, face)];
  expect(first).toHaveLength(nets.embedder.dimension);
  expect(Math.hypot(...first)).toBeCloseTo(1, 5);
  expect([...second]).toEqual([...first]);
});

test('too small, too blurred, turned away, not sure: each look that does not count says why', async () => {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  const [face] = facesOf(FIVE_PEOPLE).map((box, i) => ({ ...box, landmarks: YUNET_POINTS[i]! })) as [Detection];
  const refusal = (frame: Frame, change: Partial<Detection>) =>
    refusalOf(nets.embedder.look(frame, { ...face, ...change })!.quality);
  expect(refusal(picture, {})).toBeNull();
  expect(refusal(picture, { score: 0.5 })).toBe('unsure');
  expect(refusal(picture, { score: Number.NaN })).toBe('unsure');
  expect(refusal(picture, { w: 25, h: 30 })).toBe('too-small');
  expect(refusal(await photoFrame(FIVE_PEOPLE.path, (photo) => photo.blur(8)), {})).toBe('too-blurred');
  const [right, left, , rightMouth, leftMouth] = face.landmarks!;
  expect(refusal(picture, { landmarks: [right, left, left, rightMouth, leftMouth] })).toBe('turned');
  expect(refusal(picture, { landmarks: [left, right, face.landmarks![2], leftMouth, rightMouth] })).toBe('turned');
});

test('age, gender and expression are in range, for smiling people mostly happy', async () => {
  const picture = await photoFrame(FIVE_PEOPLE.path);
  let happy = 0;
  for (const face of facesOf(FIVE_PEOPLE)) {
    const { age, gender } = await nets.ages.read(picture, face);
    expect(age).toBeGreaterThan(10);
    expect(age).toBeLessThan(60);
    expect(['male', 'female']).toContain(gender.label);
    expect(gender.confidence).toBeGreaterThanOrEqual(0.5);
    const { label, confidence, all } = await nets.expressions.read(picture, face);
    expect(all[label]).toBe(confidence);
    expect(Object.values(all).reduce((sum, value) => sum + value)).toBeCloseTo(1, 4);
    if (label === 'happy') happy++;
  }
  expect(happy).toBeGreaterThanOrEqual(3);
});

test('a model of one family is not read as the other', async () => {
  const models = loadManifest(undefined, ['attributes']);
  const refused = { code: 'model-unusable' };
  const nothing = new Uint8Array(0);
  await expect(AgeGenderReader.open(findModel(models, 'expression'), nothing, 1)).rejects.toMatchObject(refused);
  await expect(ExpressionReader.open(findModel(models, 'age-gender'), nothing, 1)).rejects.toMatchObject(refused);
});

function distance([ax, ay]: Point, [bx, by]: Point): number {
  return Math.hypot(ax - bx, ay - by);
}
