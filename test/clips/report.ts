import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Box } from '../../inference/track/box.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const unit = z.number().min(0).max(1);

/** What `--report` writes, as the public contract has it. Boxes are [frame, x, y, w, h, score or null]. */
const reportSchema = z.object({
  version: z.literal(1),
  input: z.object({
    sha256,
    width: z.int().positive(),
    height: z.int().positive(),
    fps: z.number().positive(),
    frames: z.int().positive(),
    durationMs: count,
  }),
  output: z.object({ sha256 }),
  model: z.object({ detector: z.string().min(1), recogniser: z.string().nullable() }),
  policy: z.object({
    mode: z.enum(['all', 'except', 'only']),
    identities: z.array(z.string()),
    style: z.enum(['mosaic', 'solid', 'gaussian']),
    strength: unit,
    margin: unit,
  }),
  tracks: z.array(
    z.object({
      id: z.int().positive(),
      identity: z.string().nullable(),
      visible: z.boolean(),
      firstFrame: count,
      lastFrame: count,
      boxes: z
        .array(z.tuple([count, z.number(), z.number(), z.number().positive(), z.number().positive(), unit.nullable()]))
        .min(1),
    }),
  ),
});

export type Report = z.infer<typeof reportSchema>;

export function readReport(path: string): Report {
  return reportSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}

/** Everything that the report says was covered in one frame. */
export function reportedBoxes({ tracks }: Report, frame: number): Box[] {
  return tracks.flatMap(({ boxes }) => boxes.flatMap(([at, x, y, w, h]) => (at === frame ? [{ x, y, w, h }] : [])));
}
