import {
  AV_PIX_FMT_YUVJ420P,
  AVCOL_RANGE_JPEG,
  AVCOL_SPC_BT709,
  AVCOL_SPC_BT2020_CL,
  AVCOL_SPC_BT2020_NCL,
  type Frame,
} from 'node-av';

/** How a picture's Y, Cb and Cr become R, G and B of 0..255. */
export interface YuvToRgb {
  readonly black: number;
  readonly contrast: number;
  readonly redOfCr: number;
  readonly greenOfCb: number;
  readonly greenOfCr: number;
  readonly blueOfCb: number;
}

/** What a picture says of its matrix and range; where it is silent, BT.601 and the limited range of video. */
export function yuvToRgb({ format, colorRange, colorSpace }: Frame): YuvToRgb {
  const isFull = colorRange === AVCOL_RANGE_JPEG || format === AV_PIX_FMT_YUVJ420P;
  const [kr, kb] = weights(colorSpace);
  const kg = 1 - kr - kb;
  const colour = isFull ? 1 : 255 / 224;
  return {
    black: isFull ? 0 : 16,
    contrast: isFull ? 1 : 255 / 219,
    redOfCr: 2 * (1 - kr) * colour,
    greenOfCb: ((-2 * kb * (1 - kb)) / kg) * colour,
    greenOfCr: ((-2 * kr * (1 - kr)) / kg) * colour,
    blueOfCb: 2 * (1 - kb) * colour,
  };
}

/** How much of red and of blue is in Y. @see ITU-T H.273, table 4 */
function weights(colorSpace: Frame['colorSpace']): readonly [red: number, blue: number] {
  if (colorSpace === AVCOL_SPC_BT709) return [0.2126, 0.0722];
  if (colorSpace === AVCOL_SPC_BT2020_NCL || colorSpace === AVCOL_SPC_BT2020_CL) return [0.2627, 0.0593];
  return [0.299, 0.114];
}
