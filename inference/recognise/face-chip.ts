/** A small upright picture of one face. */
export interface FaceChip {
  readonly width: number;
  readonly height: number;
  /** Interleaved RGB 0..255; black where the picture ended. */
  readonly rgb: Uint8ClampedArray;
  /** Brightness 0..255 of each pixel. */
  readonly luma: Uint8ClampedArray;
}
