import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { ClipWriter } from '../../bench/clip-writer.ts';

const CLIP = { width: 320, height: 180, fps: 30, seconds: 3 } as const;

/** Writes a short H.264 clip with a tone, in which a square moves across a gradient. No face is in it. */
export async function makeTestClip(output: string): Promise<void> {
  const { width, height, fps, seconds } = CLIP;
  Log.setLevel(AV_LOG_ERROR);
  const writer = await ClipWriter.create({ output, ...CLIP });
  const [luma, ...chroma] = writer.planes;
  for (const plane of chroma) plane.fill(128);
  for (let frame = 0; frame < fps * seconds; frame += 1) {
    const left = Math.round((frame / (fps * seconds)) * (width - 40));
    for (let y = 0; y < height; y += 1) {
      const row = y * writer.strides[0]!;
      for (let x = 0; x < width; x += 1) luma![row + x] = 40 + Math.floor((x * 120) / width);
      if (y >= 70 && y < 110) luma!.fill(230, row + left, row + left + 40);
    }
    await writer.write();
  }
  await writer.close();
}
