import { AV_PIX_FMT_YUV420P, type AVPixelFormat, FFmpegError, Frame } from 'node-av';

/** Y, Cb and Cr of a pixel. */
export type Yuv = readonly [number, number, number];

/** A picture whose pixels are what `at` says, colour of each second one. The caller's to free. */
export function i420Picture(
  width: number,
  height: number,
  at: (x: number, y: number) => Yuv,
  format: AVPixelFormat = AV_PIX_FMT_YUV420P,
): Frame {
  const picture = new Frame();
  picture.alloc();
  Object.assign(picture, { width, height, format });
  FFmpegError.throwIfError(picture.getBuffer(), 'allocate a picture');
  const { linesize } = picture;
  for (const [index, plane] of picture.data!.slice(0, 3).entries()) {
    const step = index === 0 ? 1 : 2;
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) plane[(y / step) * linesize[index]! + x / step] = at(x, y)[index]!;
    }
  }
  return picture;
}
