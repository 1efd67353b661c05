import sharp from 'sharp';
import type { Detector } from '../../inference/detect/detector.ts';
import type { FaceEmbedder } from '../../inference/recognise/face-embedder.ts';
import { type LookQuality, refusalOf } from '../../inference/recognise/look-quality.ts';
import { similarity } from '../../inference/recognise/similarity.ts';
import type { Row } from '../report.ts';
import { median, rounded } from '../statistics.ts';
import { type LabelledLook, readStill } from './labelled-looks.ts';
import { ratesAt, type ScoredPair } from './verification.ts';

/** Sides of the face in the picture, pixels. */
const SIZES = [16, 20, 24, 28, 32, 40, 48, 64];
/** Standard deviations of the blur of a face of `BLURRED_PX`, pixels. */
const BLURS = [0.7, 1, 1.5, 2, 2.5, 3, 4];
const BLURRED_PX = 96;
const MAX_PHOTOS_A_PERSON = 6;
const INPUT_PX = 640;

interface DegradedLook {
  readonly of: LabelledLook;
  readonly quality: LookQuality;
  readonly embedding: Float32Array;
}

/**
 * What becomes of recognition in ever less detail: the photos made smaller, or blurred, found and aligned anew, against
 * the originals of other photos and against each other.
 */
export async function degradedRows(
  looks: readonly LabelledLook[],
  embedder: FaceEmbedder,
  detector: Detector,
): Promise<Row[]> {
  const seen = new Map<string, number>();
  const some = looks.filter(({ person }) => {
    const count = (seen.get(person) ?? 0) + 1;
    seen.set(person, count);
    return count <= MAX_PHOTOS_A_PERSON;
  });
  const rows: Row[] = [];
  for (const px of SIZES) {
    const small = await degrade(some, embedder, detector, px, 0);
    rows.push(rowOf(`${px} px`, small, looks, embedder));
  }
  for (const sigma of BLURS) {
    const blurred = await degrade(some, embedder, detector, BLURRED_PX, sigma);
    rows.push(rowOf(`${BLURRED_PX} px, blurred by ${sigma}`, blurred, looks, embedder));
  }
  return rows;
}

async function degrade(
  looks: readonly LabelledLook[],
  embedder: FaceEmbedder,
  detector: Detector,
  px: number,
  sigma: number,
): Promise<DegradedLook[]> {
  const degraded: DegradedLook[] = [];
  for (const of of looks) {
    if (of.quality.sizePx < px) continue;
    const { width } = await sharp(of.file)
      .autoOrient()
      .toBuffer({ resolveWithObject: true })
      .then(({ info }) => info);
    const newWidth = Math.round((width * px) / of.quality.sizePx);
    const small = await sharp(of.file).autoOrient().resize(newWidth).png().toBuffer();
    const file = await (sigma > 0 ? sharp(small).blur(sigma) : sharp(small)).jpeg({ quality: 92 }).toBuffer();
    const picture = readStill(file);
    const scale = newWidth / width;
    const [x, y] = [(of.face.x + of.face.w / 2) * scale, (of.face.y + of.face.h / 2) * scale];
    const faces = await detector.detect(picture, Math.min(INPUT_PX, Math.max(picture.width, picture.height)), 0.3);
    const face = faces.find((box) => x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h);
    const look = face && embedder.look(picture, face);
    if (look) degraded.push({ of, quality: look.quality, embedding: await embedder.embed(look.chip) });
    picture.free();
  }
  return degraded;
}

function rowOf(
  shown: string,
  degraded: readonly DegradedLook[],
  looks: readonly LabelledLook[],
  { thresholds }: FaceEmbedder,
): Row {
  const againstPhotos = degraded.flatMap(({ of, embedding }) =>
    looks.filter(({ file }) => file !== of.file).map((other) => pairOf(embedding, of, other.embedding, other)),
  );
  const amongThemselves = degraded.flatMap((a, i) =>
    degraded.slice(i + 1).map((b) => pairOf(a.embedding, a.of, b.embedding, b.of)),
  );
  const percent = (part: number | null) => rounded(part === null ? null : part * 100, 2);
  const photos = ratesAt(againstPhotos, thresholds.accept);
  return {
    face: shown,
    looks: degraded.length,
    'median sharpness': rounded(median(degraded.map(({ quality }) => quality.sharpness)), 1),
    'let through %': percent(
      degraded.filter(({ quality }) => refusalOf(quality) === null).length / Math.max(1, degraded.length),
    ),
    'same accepted %': percent(photos.trueAccept),
    'others accepted %': percent(photos.falseAccept),
    'others accepted among themselves %': percent(ratesAt(amongThemselves, thresholds.accept).falseAccept),
  };
}

function pairOf(a: Float32Array, ofA: LabelledLook, b: Float32Array, ofB: LabelledLook): ScoredPair {
  return { similarity: similarity(a, b), same: ofA.person === ofB.person };
}
