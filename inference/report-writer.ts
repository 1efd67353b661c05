import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { asOutputError } from './media/output-error.ts';
import type { Adaptation } from './media/picture-converter.ts';
import type { BlurPolicy } from './policy.ts';
import type { Cover } from './track/coverage.ts';

/** [frame, x, y, w, h, score or null where the box was predicted or interpolated] */
type ReportedBox = [number, number, number, number, number, number | null];

export interface ReportSummary {
  readonly input: { path: string; width: number; height: number; fps: number; frames: number; durationMs: number };
  /** The output as it will be published. */
  readonly output: { path: string };
  readonly detector: string;
  readonly policy: BlurPolicy;
  /** Named in the report where there are any. */
  readonly adaptations: readonly Adaptation[];
}

/**
 * Writes the JSON report of one job: who was covered where. A track that has ended is on disk, so memory holds only
 * those on screen.
 */
export class ReportWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #open = new Map<number, ReportedBox[]>();
  #written = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** @throws InferenceError 'output-unwritable' | 'no-space', as every method that writes */
  static async create(path: string): Promise<ReportWriter> {
    const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw asOutputError(error, path);
    });
    const report = new ReportWriter(file, path);
    try {
      await report.#write('{"version":1,"tracks":[');
    } catch (error) {
      await report.close();
      throw error;
    }
    return report;
  }

  /** Notes what was covered in one frame. Frames must go forward. */
  async add(frame: number, covers: readonly Cover[], trackLifeFrames: number): Promise<void> {
    for (const { track, box, score } of covers) {
      const boxes = this.#open.get(track) ?? [];
      this.#open.set(track, boxes);
      // A face covered on two paths at once is reported at the likelier place, which comes first.
      if (boxes.at(-1)?.[0] === frame) continue;
      boxes.push([
        frame,
        tenth(box.x),
        tenth(box.y),
        tenth(box.w),
        tenth(box.h),
        score === null ? null : hundredth(score),
      ]);
    }
    for (const [track, boxes] of this.#open) {
      if (frame - boxes.at(-1)![0] > trackLifeFrames) await this.#writeTrack(track, boxes);
    }
  }

  /** Writes the rest and closes the file. */
  async finish({ input, output, detector, policy, adaptations }: ReportSummary): Promise<void> {
    for (const [track, boxes] of this.#open) await this.#writeTrack(track, boxes);
    const { path, ...figures } = input;
    const rest = {
      input: { sha256: await hashFile(path), ...figures, ...(adaptations.length > 0 && { adaptations }) },
      output: { sha256: await hashFile(output.path) },
      model: { detector, recogniser: null },
      policy: { mode: 'all', identities: [], ...policy },
    };
    await this.#write(`\n],${JSON.stringify(rest).slice(1)}\n`);
    await this.#file.close();
  }

  async close(): Promise<void> {
    await this.#file.close().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EBADF') throw error;
    });
  }

  async #writeTrack(id: number, boxes: ReportedBox[]): Promise<void> {
    this.#open.delete(id);
    const track = {
      id,
      identity: null,
      visible: false,
      firstFrame: boxes[0]![0],
      lastFrame: boxes.at(-1)![0],
      boxes,
    };
    await this.#write(`${this.#written++ === 0 ? '\n' : ',\n'}${JSON.stringify(track)}`);
  }

  /** All of it: a single write may take less than it is given. */
  async #write(text: string): Promise<void> {
    try {
      await this.#file.appendFile(text);
    } catch (error) {
      throw asOutputError(error, this.#path);
    }
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

function hundredth(value: number): number {
  return Math.round(value * 100) / 100;
}
