import type { ModelEntry } from '../../models/manifest.ts';
import { type Landmarks, mapFive } from '../track/box.ts';

interface Geometry {
  /** Pixels of the square chip that `points` are in. */
  readonly side: number;
  readonly points: Landmarks;
}

/** Of InsightFace's chips, since 2018. */
const ARCFACE: Geometry = {
  side: 112,
  points: [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
  ],
};

/** dlib's chip of 150 pixels with a quarter around the face, measured. */
const DLIB: Geometry = {
  side: 150,
  points: [
    [47.6, 46.6],
    [100.5, 46.6],
    [74.0, 76.6],
    [50.4, 103.0],
    [97.6, 103.0],
  ],
};

/** FaceNet is trained on upright boxes; ArcFace's chip, as large, shows about the same of a face. */
const GEOMETRY: Readonly<Record<ModelEntry<'recogniser'>['family'], Geometry>> = {
  dlib: DLIB,
  arcface: ARCFACE,
  sface: ARCFACE,
  facenet: ARCFACE,
};

/** Where the five landmarks lie on a recogniser's chip, in its pixels: what its entry says, else its family's. */
export function chipLandmarks({ family, chip, input }: ModelEntry<'recogniser'>): Landmarks {
  if (chip) return chip;
  const { side, points } = GEOMETRY[family];
  const { width, height } = input.size;
  const scale = Math.min(width, height) / side;
  const [left, top] = [(width - side * scale) / 2, (height - side * scale) / 2];
  return mapFive(points, ([x, y]) => [left + x * scale, top + y * scale]);
}
