import { type Frame, Rational } from 'node-av';
import type { ModelEntry } from '../../models/manifest.ts';
import type { Detector } from '../detect/detector.ts';
import { EvenI420 } from '../media/even-i420.ts';
import { qualityOf, refusalOf } from '../recognise/look-quality.ts';
import type { Detection } from '../track/box.ts';
import { decodeImage } from './decode-image.ts';
import { faceThumbnail } from './face-thumbnail.ts';
import type { AnalysedFace, EmbeddedFace, ImageAttributes, ImageEmbeddings, ImageFaces } from './image-messages.ts';
import { detectInStill } from './still-detection.ts';
import type { StillModels } from './still-models.ts';

/** @throws InferenceError as `decodeImage`, `Detector.detect` and `StillModels` do, ModelError; so do the others here */
export async function detectFaces(models: StillModels, image: Uint8Array): Promise<ImageFaces> {
  const startedMs = performance.now();
  const { entry, detector } = await models.detector();
  const picture = decodeImage(image);
  try {
    const { width, height } = picture;
    const faces = await detectInStill(detector, entry, picture);
    return { width, height, faces, model: detector.name, tookMs: performance.now() - startedMs };
  } finally {
    picture.free();
  }
}

export async function embedFaces(
  models: StillModels,
  image: Uint8Array,
  thumbnails: boolean,
): Promise<ImageEmbeddings> {
  const startedMs = performance.now();
  const embedder = await models.embedder();
  const { name: model, dimension, thresholds } = embedder;
  const embed = async (picture: Frame, found: Detection): Promise<EmbeddedFace> => {
    const detection = found.landmarks ? found : await (await models.landmarkFinder()).complete(picture, found);
    const thumbnail = thumbnails ? faceThumbnail(picture, detection) : null;
    const look = embedder.look(picture, detection);
    if (!look) return { detection, quality: 0, refusal: 'no-landmarks', embedding: null, thumbnail };
    const { chip, quality } = look;
    const embedding = await embedder.embed(chip);
    return { detection, quality: qualityOf(quality), refusal: refusalOf(quality), embedding, thumbnail };
  };
  const { detector, ...seen } = await eachFace(models, image, embed);
  return { ...seen, model, detector, dimension, thresholds, tookMs: performance.now() - startedMs };
}

export async function analyseFaces(models: StillModels, image: Uint8Array): Promise<ImageAttributes> {
  const startedMs = performance.now();
  const ageGender = await models.ageGenderReader();
  const expression = await models.expressionReader();
  const analyse = async (picture: Frame, detection: Detection): Promise<AnalysedFace> => ({
    detection,
    ...(await ageGender.read(picture, detection)),
    expression: await expression.read(picture, detection),
  });
  return { ...(await eachFace(models, image, analyse)), tookMs: performance.now() - startedMs };
}

/** Finds the faces of a picture, then looks at one after the other in the picture as I420. */
async function eachFace<T>(
  models: StillModels,
  image: Uint8Array,
  look: (picture: Frame, face: Detection) => Promise<T>,
): Promise<{ width: number; height: number; detector: string; faces: T[] }> {
  const { entry, detector } = await models.detector();
  const [picture, found] = await detected(detector, entry, decodeImage(image));
  try {
    const { width, height } = picture;
    const faces: T[] = [];
    for (const face of found) faces.push(await look(picture, face));
    return { width, height, detector: detector.name, faces };
  } finally {
    picture.free();
  }
}

/** Takes a picture over and gives back one that is the caller's: where there are faces, one of even sides as I420. */
async function detected(detector: Detector, entry: ModelEntry, picture: Frame): Promise<[Frame, Detection[]]> {
  const found = await detectInStill(detector, entry, picture).catch((error) => {
    picture.free();
    throw error;
  });
  return [found.length > 0 ? toI420(picture) : picture, found];
}

/** Takes a picture over. */
function toI420(picture: Frame): Frame {
  picture.timeBase = new Rational(1, 1);
  picture.pts = 0n;
  const converter = new EvenI420();
  try {
    return converter.convert(picture);
  } finally {
    converter.close();
  }
}
