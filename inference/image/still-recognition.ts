import { type Frame, Rational } from 'node-av';
import { EvenI420 } from '../media/even-i420.ts';
import { faceThumbnail } from '../media/face-thumbnail.ts';
import { qualityOf, refusalOf } from '../recognise/look-quality.ts';
import type { Detection } from '../track/box.ts';
import { decodeImage } from './decode-image.ts';
import type { AnalysedFace, EmbeddedFace, ImageAttributes, ImageEmbeddings, ImageFaces } from './image-messages.ts';
import { detectInStill } from './still-detection.ts';
import type { StillModels } from './still-models.ts';

/**
 * @param landmarks whether every face is to have them
 * @throws InferenceError as `decodeImage`, `Detector.detect` and `StillModels` do, ModelError; so do the others here
 */
export async function detectFaces(models: StillModels, image: Uint8Array, landmarks: boolean): Promise<ImageFaces> {
  const startedMs = performance.now();
  const isLeftOpen = (face: Detection) => landmarks && !face.landmarks;
  const complete = async (picture: Frame, face: Detection) =>
    isLeftOpen(face) ? withLandmarks(models, picture, face) : face;
  const { detector: model, ...seen } = await eachFace(models, image, complete, isLeftOpen);
  return { ...seen, model, tookMs: performance.now() - startedMs };
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
    const detection = await withLandmarks(models, picture, found);
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

/** The model that finds them is loaded only where it is needed. */
async function withLandmarks(models: StillModels, picture: Frame, face: Detection): Promise<Detection> {
  return face.landmarks ? face : (await models.landmarkFinder()).complete(picture, face);
}

/**
 * Finds the faces of a picture, then looks at one after the other.
 * @param isSeenAsI420 whether that takes the picture as I420, of even sides
 */
async function eachFace<T>(
  models: StillModels,
  image: Uint8Array,
  look: (picture: Frame, face: Detection) => Promise<T>,
  isSeenAsI420: (face: Detection) => boolean = () => true,
): Promise<{ width: number; height: number; detector: string; faces: T[] }> {
  const { entry, detector } = await models.detector();
  let picture: Frame | null = decodeImage(image);
  const { width, height } = picture;
  try {
    const found = await detectInStill(detector, entry, picture);
    if (found.some(isSeenAsI420)) {
      const decoded = picture;
      picture = null;
      picture = toI420(decoded);
    }
    const faces: T[] = [];
    for (const face of found) faces.push(await look(picture, face));
    return { width, height, detector: detector.name, faces };
  } finally {
    picture?.free();
  }
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
