import type { ModelLocations } from '../../models/locations.ts';
import type { InferenceErrorCode } from '../errors.ts';
import type { Expression, Label } from '../recognise/face-attributes.ts';
import type { RecognitionThresholds } from '../recognise/face-embedder.ts';
import type { LookRefusal } from '../recognise/look-quality.ts';
import type { Detection } from '../track/box.ts';

/** What is told of every still picture. */
interface ImageResult<Face> {
  /** Of the picture as shown, after Exif rotation. Pixels. */
  readonly width: number;
  readonly height: number;
  /** Best first. */
  readonly faces: readonly Face[];
  /** From the file's bytes to the result, models that had to be loaded first among it. */
  readonly tookMs: number;
}

/** The faces of one still picture, their boxes cut at its edges. */
export interface ImageFaces extends ImageResult<Detection> {
  /** The detector's name in the manifest. */
  readonly model: string;
}

/** One face of a still picture, and what the recogniser makes of it. */
export interface EmbeddedFace {
  /** Its box cut at the picture's edges, its landmarks the detector's or else those of the landmark model. */
  readonly detection: Detection;
  /** 0..1, more is better. @see qualityOf */
  readonly quality: number;
  /** Why it does not tell who it is; null where it does. */
  readonly refusal: LookRefusal | 'no-landmarks' | null;
  /** Of unit length; null where the face has no landmarks, so that it can't be aligned. */
  readonly embedding: Float32Array | null;
  /** A JPEG of the face and a little around it, upright as the picture, without metadata; null where none was asked for. */
  readonly thumbnail: Uint8Array | null;
}

/** The faces of one still picture and who they are to the recogniser. */
export interface ImageEmbeddings extends ImageResult<EmbeddedFace> {
  /** The recogniser's name in the manifest: embeddings of two models are never compared. */
  readonly model: string;
  /** The detector's. */
  readonly detector: string;
  /** How many numbers an embedding has. */
  readonly dimension: number;
  readonly thresholds: RecognitionThresholds;
}

/** One face of a still picture, and what is guessed of it. */
export interface AnalysedFace {
  /** Its box cut at the picture's edges. */
  readonly detection: Detection;
  /** Years. */
  readonly age: number;
  readonly gender: Label;
  readonly expression: Expression;
}

/** The faces of one still picture and what is guessed of them. */
export interface ImageAttributes extends ImageResult<AnalysedFace> {
  /** The detector's name in the manifest. */
  readonly detector: string;
}

/** What is asked of one picture. */
export type ImageQuestion =
  | { readonly type: 'detect'; readonly image: Uint8Array; readonly landmarks: boolean }
  | { readonly type: 'embed'; readonly image: Uint8Array; readonly thumbnails: boolean }
  | { readonly type: 'analyse'; readonly image: Uint8Array };

/** What the engine of still pictures tells its process. */
export type ToImageProcess = { readonly type: 'prepare'; readonly models: ModelLocations } | ImageQuestion;

/** What the process tells. Each message it is sent is answered by one that is no warning. */
export type FromImageProcess =
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'prepared' }
  | { readonly type: 'found'; readonly result: ImageFaces }
  | { readonly type: 'embedded'; readonly result: ImageEmbeddings }
  | { readonly type: 'analysed'; readonly result: ImageAttributes }
  | { readonly type: 'failed'; readonly code: InferenceErrorCode; readonly message: string };
