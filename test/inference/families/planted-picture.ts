import { AV_PIX_FMT_RGB24, FFmpegError, Frame } from 'node-av';
import type { Box } from '../../../inference/track/box.ts';

/** A black picture with one square that is bright in the first of the planes named, and there only. The caller's to free. */
export function plantedPicture(width: number, height: number, square: Box | null, channels: 'RGB' | 'BGR'): Frame {
  const picture = new Frame();
  picture.alloc();
  Object.assign(picture, { width, height, format: AV_PIX_FMT_RGB24 });
  FFmpegError.throwIfError(picture.getBuffer(), 'allocate a picture');
  const [pixels] = picture.data!;
  const stride = picture.linesize[0]!;
  pixels!.fill(0);
  const plane = channels === 'RGB' ? 0 : 2;
  for (let y = 0; square && y < square.h; y++) {
    for (let x = 0; x < square.w; x++) pixels![(square.y + y) * stride + (square.x + x) * 3 + plane] = 255;
  }
  return picture;
}
