import { readFileSync } from 'node:fs';
import { blurRegions } from '../../inference/blur/blur-regions.ts';
import { PicturePool } from '../../inference/blur/picture-pool.ts';
import { faceRegion } from '../../inference/blur/region.ts';
import { closeFrame } from '../../inference/media/video-frame.ts';
import { BLUR_STYLES, type BlurStyle, makePolicy } from '../../inference/policy.ts';
import type { FaceEmbedder } from '../../inference/recognise/face-embedder.ts';
import { refusalOf } from '../../inference/recognise/look-quality.ts';
import { makeUnit, similarity } from '../../inference/recognise/similarity.ts';
import type { Row } from '../report.ts';
import { rounded } from '../statistics.ts';
import { type LabelledLook, readStill } from './labelled-looks.ts';

/** Photos that a person must have: one is covered, the others are what the attacker has. */
const MIN_PHOTOS = 2;
/** Of the normal distribution: 95 % lie within so many standard deviations. */
const WITHIN = 1.96;

interface Probe {
  readonly person: string;
  readonly embedding: Float32Array;
}

/**
 * Who is behind a cover? The attacker knows where the face and its landmarks are, and has other photos of everyone,
 * clear or covered alike; the answer is the nearest person. Told right by chance: one of as many as there are people.
 */
export async function coveredFaceRows(looks: readonly LabelledLook[], embedder: FaceEmbedder): Promise<Row[]> {
  const good = looks.filter(({ quality }) => refusalOf(quality) === null);
  const people = [...Map.groupBy(good, ({ person }) => person).values()].filter((own) => own.length >= MIN_PHOTOS);
  const known = people.flat();
  const chance = 1 / people.length;
  const spread = WITHIN * Math.sqrt((chance * (1 - chance)) / known.length);
  const row = (faces: string, right: number, rightCovered: number | null): Row => ({
    faces,
    photos: known.length,
    people: people.length,
    'told right %, photos clear': rounded((right / known.length) * 100, 1),
    'told right %, photos covered': rightCovered === null ? null : rounded((rightCovered / known.length) * 100, 1),
    'by chance %': rounded(chance * 100, 1),
    'in 95 of 100 runs by chance, at most %': rounded((chance + spread) * 100, 1),
  });
  const rows = [row('as they are', toldRight(known, known), null)];
  for (const style of BLUR_STYLES) {
    const probes: Probe[] = [];
    for (const look of known) probes.push({ person: look.person, embedding: await covered(look, style, embedder) });
    rows.push(row(style, toldRight(probes, known), toldRight(probes, probes)));
  }
  return rows;
}

/** How many probes are nearest to their own person's other photos. */
function toldRight(probes: readonly Probe[], gallery: readonly Probe[]): number {
  return probes.filter(({ person, embedding }, index) => {
    const others = gallery.filter((_, i) => i !== index);
    const nearest = [...Map.groupBy(others, (other) => other.person)]
      .map(([name, own]) => ({ name, alike: similarity(embedding, meanOf(own)) }))
      .reduce((a, b) => (b.alike > a.alike ? b : a));
    return nearest.name === person;
  }).length;
}

function meanOf(probes: readonly Probe[]): Float32Array {
  const mean = new Float32Array(probes[0]!.embedding.length);
  for (const { embedding } of probes) for (const [i, value] of embedding.entries()) mean[i]! += value;
  makeUnit(mean);
  return mean;
}

/** What the recogniser makes of a face once the engine has covered it. */
async function covered({ file, face }: LabelledLook, style: BlurStyle, embedder: FaceEmbedder): Promise<Float32Array> {
  const pool = new PicturePool();
  const picture = readStill(readFileSync(file));
  const redacted = blurRegions({ index: 0, picture, broken: false }, [faceRegion(face, makePolicy({ style }))], pool);
  try {
    const look = embedder.look(redacted.picture, face);
    if (!look) throw new Error('a face has no landmarks; this bench needs YuNet');
    return await embedder.embed(look.chip);
  } finally {
    closeFrame(redacted);
    pool.close();
  }
}
