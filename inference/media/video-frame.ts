import type { Frame } from 'node-av';

/**
 * One decoded picture, I420 (4:2:0, 8 bit), upright. It has one owner, who must `closeFrame` it or pass it on.
 */
export interface VideoFrame {
  /** Counts from 0 in the order shown. */
  readonly index: number;
  /** The planes and their strides, in FFmpeg's own memory. */
  readonly picture: Frame;
  /** The decoder met damage here: what the picture shows can't be trusted. */
  readonly broken: boolean;
  /** Gives the picture's memory back to whoever lent it; without it the memory is the frame's own. */
  readonly giveBack?: () => void;
}

export function closeFrame(frame: VideoFrame): void {
  if (frame.giveBack) frame.giveBack();
  else frame.picture.free();
}

/** What its planes take, but for the padding of rows. */
export function pictureBytes({ picture }: VideoFrame): number {
  return picture.width * picture.height * 1.5;
}
