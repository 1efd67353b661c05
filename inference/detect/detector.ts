import type { Frame } from 'node-av';
import type { Detection } from '../track/box.ts';

/** Finds faces in pictures. One instance serves one pipeline; calls must not overlap. */
export interface Detector {
  /** The model's name in the manifest. */
  readonly name: string;
  /**
   * Finds faces in one picture, which it borrows.
   * @param inputPx the longer side of the picture as the model sees it; detectors of a fixed size ignore it
   * @param minScore 0..1; boxes below it are left out
   * @returns boxes in picture pixels, scores 0..1, after NMS, best first; empty when there is none
   * @throws InferenceError 'closed' | 'run-failed'
   */
  detect(picture: Frame, inputPx: number, minScore: number): Promise<Detection[]>;
  close(): Promise<void>;
}
