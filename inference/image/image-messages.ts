import type { ModelLocations } from '../../models/locations.ts';
import type { InferenceErrorCode } from '../errors.ts';
import type { Detection } from '../track/box.ts';

/** The faces of one still picture. */
export interface ImageFaces {
  /** Of the picture as shown, after Exif rotation. Pixels. */
  readonly width: number;
  readonly height: number;
  /** Boxes cut at the picture's edges, best first. */
  readonly faces: readonly Detection[];
  /** The detector's name in the manifest. */
  readonly model: string;
  /** Decoding and detection. */
  readonly tookMs: number;
}

/** What the engine of still pictures tells its process. */
export type ToImageProcess =
  | { readonly type: 'prepare'; readonly models: ModelLocations }
  | { readonly type: 'detect'; readonly image: Uint8Array };

/** What the process tells. Each message it is sent is answered by one that is no warning. */
export type FromImageProcess =
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'prepared' }
  | { readonly type: 'found'; readonly faces: ImageFaces }
  | { readonly type: 'failed'; readonly code: InferenceErrorCode; readonly message: string };
