import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Frame, Rational } from 'node-av';
import sharp, { type Sharp } from 'sharp';
import { onTestFinished } from 'vitest';
import { decodeImage } from '../../../inference/image/decode-image.ts';
import { EvenI420 } from '../../../inference/media/even-i420.ts';
import { AgeGenderReader, ExpressionReader } from '../../../inference/recognise/face-attributes.ts';
import { FaceEmbedder } from '../../../inference/recognise/face-embedder.ts';
import { LandmarkFinder } from '../../../inference/recognise/landmark-finder.ts';
import { resolveModelOf } from '../../../models/resolve.ts';

/** The project's nets of single faces, converted anew from the package that is always there. */
export interface FaceNets {
  readonly embedder: FaceEmbedder;
  readonly finder: LandmarkFinder;
  readonly ages: AgeGenderReader;
  readonly expressions: ExpressionReader;
  close(): Promise<void>;
}

export async function openFaceNets(): Promise<FaceNets> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'faceblur-nets-'));
  const locations = { cacheDir, allowDownload: false };
  try {
    const recogniser = await resolveModelOf('recogniser', 'face-recogniser', locations);
    const landmarks = await resolveModelOf('landmarks', 'landmarks-68', locations);
    const ageGender = await resolveModelOf('attributes', 'age-gender', locations);
    const expression = await resolveModelOf('attributes', 'expression', locations);
    const embedder = await FaceEmbedder.open(recogniser.entry, recogniser.bytes, 1);
    const finder = await LandmarkFinder.open(landmarks.entry, landmarks.bytes, 1);
    const ages = await AgeGenderReader.open(ageGender.entry, ageGender.bytes, 1);
    const expressions = await ExpressionReader.open(expression.entry, expression.bytes, 1);
    const close = async () => {
      await Promise.all([embedder.close(), finder.close(), ages.close(), expressions.close()]);
    };
    return { embedder, finder, ages, expressions, close };
  } finally {
    rmSync(cacheDir, { recursive: true, force: true });
  }
}

/** A photo as the engine sees it, changed by sharp where asked; freed when the test ends. */
export async function photoFrame(path: string, change = (photo: Sharp) => photo): Promise<Frame> {
  const picture = decodeImage(await change(sharp(path)).jpeg({ quality: 92 }).toBuffer());
  picture.timeBase = new Rational(1, 1);
  picture.pts = 0n;
  const converter = new EvenI420();
  try {
    const frame = converter.convert(picture);
    onTestFinished(() => frame.free());
    return frame;
  } finally {
    converter.close();
  }
}
