import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { VerdictIndex } from './analysis/verdict-index.ts';
import { asOutputError } from './media/output-error.ts';
import type { Adaptation } from './media/picture-converter.ts';
import type { BlurPolicy, PeoplePolicy } from './policy.ts';
import type { Cover } from './track/coverage.ts';

/** [frame, x, y, w, h, score or null where the box was predicted or interpolated] */
type ReportedBox = [number, number, number, number, number, number | null];

export interface ReportSummary {
  readonly input: { path: string; width: number; height: number; fps: number; frames: number; durationMs: number };
  /** The output as it will be published. */
  readonly output: { path: string };
  readonly detector: string;
  readonly recogniser: string | null;
  readonly policy: BlurPolicy;
  /** Who was to be seen: by the names of the people, where it is not decided by hand. */
  readonly chosen: { readonly mode: 'all' | PeoplePolicy['mode']; readonly identities: readonly string[] };
  /** Named in the report where there are any. */
  readonly adaptations: readonly Adaptation[];
}

/** A face of the report: a track, or a part of one that was all shown or all covered. */
interface OpenFace {
  readonly id: number;
  readonly identity: string | null;
  readonly visible: boolean;
  readonly boxes: ReportedBox[];
}

/**
 * Writes the JSON report of one job: who was covered where. A track that has ended is on disk, so memory holds only
 * those on screen. One that is shown for a part of its time, or named for a part of it, is reported in parts.
 */
export class ReportWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #verdicts: VerdictIndex;
  /** By track. */
  readonly #open = new Map<number, OpenFace>();
  #opened = 0;
  #written = 0;

  private constructor(file: FileHandle, path: string, verdicts: VerdictIndex) {
    this.#file = file;
    this.#path = path;
    this.#verdicts = verdicts;
  }

  /**
   * @param verdicts that tell whose face a track follows
   * @throws InferenceError 'output-unwritable' | 'no-space', as every method that writes
   */
  static async create(path: string, verdicts: VerdictIndex): Promise<ReportWriter> {
    const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw asOutputError(error, path);
    });
    const report = new ReportWriter(file, path, verdicts);
    try {
      await report.#write('{"version":1,"tracks":[');
    } catch (error) {
      await report.close();
      throw error;
    }
    return report;
  }

  /** Notes what was covered in one frame, and what was shown. Frames must go forward. */
  async add(frame: number, covers: readonly Cover[], shown: readonly Cover[], trackLifeFrames: number): Promise<void> {
    for (const face of covers) await this.#note(frame, face, false);
    for (const face of shown) await this.#note(frame, face, true);
    for (const [track, { boxes }] of this.#open) {
      if (frame - boxes.at(-1)![0] > trackLifeFrames) await this.#writeTrack(track);
    }
  }

  /** Writes the rest and closes the file. */
  async finish(summary: ReportSummary): Promise<void> {
    const { input, output, detector, recogniser, policy, chosen, adaptations } = summary;
    for (const track of [...this.#open.keys()]) await this.#writeTrack(track);
    const { path, ...figures } = input;
    const rest = {
      input: { sha256: await hashFile(path), ...figures, ...(adaptations.length > 0 && { adaptations }) },
      output: { sha256: await hashFile(output.path) },
      model: { detector, recogniser },
      policy: { ...chosen, ...policy },
    };
    await this.#write(`\n],${JSON.stringify(rest).slice(1)}\n`);
    await this.#file.close();
  }

  async close(): Promise<void> {
    await this.#file.close().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EBADF') throw error;
    });
  }

  async #note(frame: number, { track, box, score }: Cover, visible: boolean): Promise<void> {
    const identity = this.#verdicts.identityOf(track, frame);
    const known = this.#open.get(track);
    if (known && (known.visible !== visible || known.identity !== identity)) await this.#writeTrack(track);
    const face = this.#open.get(track) ?? { id: ++this.#opened, identity, visible, boxes: [] };
    this.#open.set(track, face);
    // A face covered on two paths at once is reported at the likelier place, which comes first.
    if (face.boxes.at(-1)?.[0] === frame) return;
    const place = [tenth(box.x), tenth(box.y), tenth(box.w), tenth(box.h)] as const;
    face.boxes.push([frame, ...place, score === null ? null : hundredth(score)]);
  }

  async #writeTrack(track: number): Promise<void> {
    const { id, identity, visible, boxes } = this.#open.get(track)!;
    this.#open.delete(track);
    const face = { id, identity, visible, firstFrame: boxes[0]![0], lastFrame: boxes.at(-1)![0], boxes };
    await this.#write(`${this.#written++ === 0 ? '\n' : ',\n'}${JSON.stringify(face)}`);
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
