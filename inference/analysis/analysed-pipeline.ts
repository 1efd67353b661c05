import { blurRegions, coverWhole } from '../blur/blur-regions.ts';
import { PicturePool } from '../blur/picture-pool.ts';
import { faceRegion } from '../blur/region.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import type { RedactedPicture } from '../pipeline.ts';
import type { BlurPolicy } from '../policy.ts';
import type { Cover } from '../track/coverage.ts';
import type { Verdict } from './analysis.ts';
import { AnalysisReader, type FrameRecord } from './analysis-file.ts';
import { PictureFingerprint } from './picture-fingerprint.ts';
import { VerdictIndex } from './verdict-index.ts';

export interface AnalysedPipelineOptions {
  /** The analysis' file. */
  readonly path: string;
  readonly verdicts: readonly Verdict[];
  readonly policy: BlurPolicy;
}

/**
 * Covers faces where an analysis says they are, but for those that may be seen: frames go in as they were decoded and
 * come out redacted, one for one. A frame that is not the one that was analysed, or was not inspected then, or is broken
 * now, leaves covered whole.
 */
export class AnalysedPipeline {
  readonly #reader: AnalysisReader;
  readonly #verdicts: VerdictIndex;
  readonly #policy: BlurPolicy;
  readonly #pool = new PicturePool();
  readonly #fingerprint = new PictureFingerprint();
  #failures = 0;
  #lastFailure: unknown;
  #changed = 0;
  #frames = 0;

  private constructor(reader: AnalysisReader, { verdicts, policy }: AnalysedPipelineOptions) {
    this.#reader = reader;
    this.#verdicts = new VerdictIndex(verdicts);
    this.#policy = policy;
  }

  /** @throws InferenceError as `AnalysisReader.open` */
  static async open(options: AnalysedPipelineOptions): Promise<AnalysedPipeline> {
    return new AnalysedPipeline(await AnalysisReader.open(options.path), options);
  }

  /** How many times something failed, and the last reason. */
  get failures(): { readonly count: number; readonly last: unknown } {
    return { count: this.#failures, last: this.#lastFailure };
  }

  /** Frames that were analysed as others, not at all, or never came. */
  get changedFrames(): number {
    return this.#changed + Math.max(0, this.#reader.frames - this.#frames);
  }

  /** Takes a frame over and gives it back redacted. Frames must be numbered without gaps. */
  async push(frame: VideoFrame): Promise<RedactedPicture[]> {
    const record = await this.#next();
    this.#frames++;
    const isKnown = record !== null && this.#isSame(frame, record);
    if (!isKnown) this.#changed++;
    if (!isKnown || !record.isInspected || frame.broken) {
      const whole = { covers: [], shown: [], whole: true, inspection: null };
      return [{ frame: coverWhole(frame, this.#pool), ...whole }];
    }
    const shown: Cover[] = [];
    const covers: Cover[] = [];
    for (const face of record.faces) (this.#verdicts.isVisible(face.track, frame.index) ? shown : covers).push(face);
    const regions = covers.map(({ box }) => faceRegion(box, this.#policy));
    const redacted = blurRegions(frame, regions, this.#pool);
    return [{ frame: redacted, covers, shown, whole: false, inspection: 'bracketed' }];
  }

  /** What was analysed knows of gaps. */
  async gap(): Promise<void> {}

  /** Nothing is held. */
  async *flush(): AsyncGenerator<RedactedPicture> {}

  async close(): Promise<void> {
    await this.#reader.close();
    this.#fingerprint.close();
    this.#pool.close();
  }

  async #next(): Promise<FrameRecord | null> {
    try {
      return await this.#reader.next();
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  #isSame({ picture }: VideoFrame, { pts, fingerprint }: FrameRecord): boolean {
    const { width, height } = this.#reader;
    if (picture.pts !== pts || picture.width !== width || picture.height !== height) return false;
    try {
      return this.#fingerprint.of(picture) === fingerprint;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#lastFailure = error;
  }
}
