import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ProcessTreeMemory } from '../../../bench/process-memory.ts';
import { blurFile } from '../../../inference/blur-file.ts';
import { ffmpeg, hasSystemFfmpeg } from '../../clips/ffmpeg.ts';
import { readPictures } from '../../clips/read-media.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { readSound } from './decoded-clip.ts';
import { makeFormatClip, SIGNAL_SECONDS } from './format-clip.ts';

/** Takes minutes, so it runs on request: `FORMATS_DRILL=1 npx vitest run test/inference/formats/drill.test.ts`. */
const isWanted = process.env.FORMATS_DRILL === '1';

const HOURS = 2;
const PART_SECONDS = 10;
const PARTS = (HOURS * 3600) / PART_SECONDS;
const FPS = 2;
const MAX_SYNC_SECONDS = 0.02;
const MAX_MEMORY_MIB = 500;
const TIMEOUT_MS = 30 * 60_000;

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

describe.skipIf(!hasSystemFfmpeg || !isWanted)('drill, made with ffmpeg', () => {
  test(
    'two hours with sound: every picture and every tone in its time, memory in bounds',
    async () => {
      const options = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-c:a', 'pcm_s16le'];
      const part = await makeFormatClip(folder, 'part.mkv', { seconds: PART_SECONDS, fps: FPS, options });
      const copies = ['-stream_loop', String(PARTS - 1), '-i', part, '-c:v', 'copy', '-c:a', 'aac', '-b:a', '64k'];
      await ffmpeg(...copies, at('hours.mp4'));
      const memory = new ProcessTreeMemory(process.pid);
      const before = process.memoryUsage.rss() / 2 ** 20;
      const result = await blurFile({ input: at('hours.mp4'), output: at('out.mp4') });
      const peakMiB = memory.stop();
      expect(result).toMatchObject({ frames: PARTS * PART_SECONDS * FPS, coveredWhole: 0 });
      expect(peakMiB! - before).toBeLessThan(MAX_MEMORY_MIB);

      const pictures = await readPictures(at('out.mp4'));
      const late = pictures.filter(({ seconds }, n) => Math.abs(seconds - n / FPS) > 1 / 1000);
      expect(late).toEqual([]);
      const { tones } = (await readSound(at('out.mp4')))[0]!;
      expect(tones).toHaveLength(PARTS);
      // Where the source has them, to its very end.
      const apart = tones.filter((tone, n) => Math.abs(tone - (n * PART_SECONDS + SIGNAL_SECONDS)) > MAX_SYNC_SECONDS);
      expect(apart).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
