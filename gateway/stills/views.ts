import type { ImageAttributes, ImageEmbeddings, ImageFaces } from '../../inference/image/image-engine.ts';
import type { Label } from '../../inference/recognise/face-attributes.ts';
import { type Detection, type Landmarks, mapFive, type Point } from '../../inference/track/box.ts';

/** Left, top, width and height, pixels of the picture as shown. */
type BoxView = readonly [x: number, y: number, w: number, h: number];

/** What every picture is told of. */
interface StillView<Face> {
  readonly width: number;
  readonly height: number;
  /** Best first. */
  readonly faces: readonly Face[];
}

export interface FaceView {
  readonly box: BoxView;
  readonly score: number;
  readonly landmarks: Landmarks | null;
}

/** Body of `detect`, less its time. */
export interface DetectView extends StillView<FaceView> {
  readonly model: string;
}

export interface EmbeddedFaceView extends FaceView {
  /** 0..1, more is better. */
  readonly quality: number;
  /** Why the face does not tell well who it is; null where it does. */
  readonly refusal: string | null;
  /** Null where the face can't be aligned. */
  readonly embedding: readonly number[] | null;
  readonly dimension: number;
}

/** Body of `embed`, less its time. */
export interface EmbedView extends StillView<EmbeddedFaceView> {
  readonly model: string;
  readonly detector: string;
  /** From here on two embeddings are one person. */
  readonly threshold: number;
}

export interface AnalysedFaceView {
  readonly box: BoxView;
  readonly score: number;
  /** Years. */
  readonly age: number;
  readonly gender: Label;
  readonly expression: Label & { readonly all: Readonly<Record<string, number>> };
}

/** Body of `analyze`, less its time. */
export interface AnalyseView extends StillView<AnalysedFaceView> {
  readonly model: string;
}

const PIXEL_DIGITS = 1;
const SCORE_DIGITS = 4;
/** A float32 comes back from so many digits as it was. */
const FLOAT32_PRECISION = 9;

export function detectView({ width, height, faces, model }: ImageFaces): DetectView {
  return { width, height, faces: faces.map(faceView), model };
}

export function embedView(result: ImageEmbeddings): EmbedView {
  const { width, height, model, detector, dimension, thresholds } = result;
  const faces = result.faces.map(({ detection, quality, refusal, embedding }) => ({
    ...faceView(detection),
    quality: rounded(quality, SCORE_DIGITS),
    refusal,
    embedding: embedding && Array.from(embedding, (value) => Number(value.toPrecision(FLOAT32_PRECISION))),
    dimension,
  }));
  return { width, height, faces, model, detector, threshold: thresholds.accept };
}

export function analyseView({ width, height, faces, detector }: ImageAttributes): AnalyseView {
  return {
    width,
    height,
    faces: faces.map(({ detection, age, gender, expression }) => ({
      box: boxView(detection),
      score: rounded(detection.score, SCORE_DIGITS),
      age: rounded(age, 1),
      gender: labelView(gender),
      expression: {
        ...labelView(expression),
        all: Object.fromEntries(
          Object.entries(expression.all).map(([name, value]) => [name, rounded(value, SCORE_DIGITS)]),
        ),
      },
    })),
    model: detector,
  };
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function faceView(face: Detection): FaceView {
  const point = ([x, y]: Point): Point => [rounded(x, PIXEL_DIGITS), rounded(y, PIXEL_DIGITS)];
  const landmarks = face.landmarks ? mapFive(face.landmarks, point) : null;
  return { box: boxView(face), score: rounded(face.score, SCORE_DIGITS), landmarks };
}

function boxView({ x, y, w, h }: Detection): BoxView {
  return [rounded(x, PIXEL_DIGITS), rounded(y, PIXEL_DIGITS), rounded(w, PIXEL_DIGITS), rounded(h, PIXEL_DIGITS)];
}

function labelView({ label, confidence }: Label): Label {
  return { label, confidence: rounded(confidence, SCORE_DIGITS) };
}
