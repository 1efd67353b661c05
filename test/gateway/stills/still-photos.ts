import sharp, { type Sharp } from 'sharp';
import { type FacePhoto, FIVE_PEOPLE, FOUR_PEOPLE } from '../../clips/face-photo.ts';

/** What of a face's surroundings is shown, in its longer sides. */
const AROUND = 2;
const COLUMNS = 8;
const ROWS = 5;
const TILE_PX = 200;

/** One person of a photo, as somebody would enrol one. */
export function portrait({ path, boxes }: FacePhoto, person: number, px = 480): Sharp {
  const [x, y, w, h] = boxes[person]!;
  const side = Math.round(Math.max(w, h) * AROUND);
  const [left, top] = [Math.max(0, Math.round(x + w / 2 - side / 2)), Math.max(0, Math.round(y + h / 2 - side / 2))];
  return sharp(path).extract({ left, top, width: side, height: side }).resize(px, px);
}

/** Forty faces of nine people, side by side. */
export async function crowd(): Promise<Buffer> {
  const people = [FIVE_PEOPLE, FOUR_PEOPLE].flatMap((photo) => photo.boxes.map((_, i) => [photo, i] as const));
  const tiles = await Promise.all(people.map(([photo, i]) => portrait(photo, i, TILE_PX).png().toBuffer()));
  const width = COLUMNS * TILE_PX;
  return sharp({ create: { width, height: ROWS * TILE_PX, channels: 3, background: '#808080' } })
    .composite(
      Array.from({ length: COLUMNS * ROWS }, (_, i) => ({
        input: tiles[i % tiles.length]!,
        left: (i % COLUMNS) * TILE_PX,
        top: Math.floor(i / COLUMNS) * TILE_PX,
      })),
    )
    .jpeg({ quality: 92 })
    .toBuffer();
}
