import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import type { FacePhoto } from '../../clips/face-photo.ts';

/** How much around the face is shown, in its sides. */
const AROUND = 0.45;

/**
 * Cuts one person out of a photo of several, as somebody would who has no other: nobody else is in it; smaller, and in
 * another light.
 */
export async function writePersonPhoto({ path, boxes }: FacePhoto, person: number, output: string): Promise<void> {
  const [x, y, w, h] = boxes[person]!;
  const [left, top] = [Math.max(0, Math.round(x - w * AROUND)), Math.max(0, Math.round(y - h * AROUND))];
  const photo = sharp(path)
    .extract({ left, top, width: Math.round(w * (1 + 2 * AROUND)), height: Math.round(h * (1 + 2 * AROUND)) })
    .resize({ width: 260 })
    .modulate({ brightness: 1.1 });
  await writeFile(output, await photo.jpeg({ quality: 90 }).toBuffer());
}
