import { Decoder, Demuxer, type Frame } from 'node-av';
import type { Box } from '../../inference/track/box.ts';

/** A mask reaches past its box by the policy's margin (0.3 of the box by default), and codecs blur by some pixels more. */
const BOX_GROWTH = 0.5;
/** One frame of so many is compared: there is one from every part of a group of pictures. */
const FRAME_STEP = 7;

/**
 * How well a clip's pictures were kept away from what was covered: luma and chroma together, as FFmpeg's `psnr` filter
 * averages them. Both clips are I420 of one size.
 * @param coveredIn the boxes of a frame
 */
export async function psnrOutside(
  source: string,
  output: string,
  coveredIn: (frame: number) => readonly Box[],
): Promise<number> {
  await using a = await Demuxer.open(source);
  await using b = await Demuxer.open(output);
  using decodeA = await Decoder.create(a.video()!);
  using decodeB = await Decoder.create(b.video()!);
  const [framesA, framesB] = [decodeA.frames(a.packets(a.video()!.index)), decodeB.frames(b.packets(b.video()!.index))];
  let squares = 0;
  let samples = 0;
  for (let index = 0; ; index++) {
    const [{ value: sourceFrame }, { value: outputFrame }] = await Promise.all([framesA.next(), framesB.next()]);
    if (!sourceFrame || !outputFrame) break;
    using before = sourceFrame;
    using after = outputFrame;
    if (index % FRAME_STEP !== 0) continue;
    const boxes = coveredIn(index);
    for (const [plane, scale] of [1, 2, 2].entries()) {
      const difference = planeDifference(before, after, plane, scale, boxes);
      squares += difference.squares;
      samples += difference.samples;
    }
  }
  return 10 * Math.log10((255 * 255 * samples) / squares);
}

function planeDifference(a: Frame, b: Frame, plane: number, scale: number, boxes: readonly Box[]) {
  const [width, height] = [a.width / scale, a.height / scale];
  const [pixelsA, pixelsB] = [a.data![plane]!, b.data![plane]!];
  const [strideA, strideB] = [a.linesize[plane]!, b.linesize[plane]!];
  const covered = new Uint8Array(width * height);
  for (const { x, y, w, h } of boxes) {
    const left = Math.max(0, Math.floor((x - w * BOX_GROWTH) / scale));
    const right = Math.max(left, Math.min(width, Math.ceil((x + w * (1 + BOX_GROWTH)) / scale)));
    const bottom = Math.min(height, Math.ceil((y + h * (1 + BOX_GROWTH)) / scale));
    for (let row = Math.max(0, Math.floor((y - h * BOX_GROWTH) / scale)); row < bottom; row++) {
      covered.fill(1, row * width + left, row * width + right);
    }
  }
  let squares = 0;
  let samples = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (covered[y * width + x]) continue;
      const d = pixelsA[y * strideA + x]! - pixelsB[y * strideB + x]!;
      squares += d * d;
      samples++;
    }
  }
  return { squares, samples };
}
