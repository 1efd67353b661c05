import { PassThrough, Writable } from 'node:stream';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import { type FfmpegRun, runFfmpeg } from './ffmpeg.ts';
import { type Fragment, FragmentReader } from './fragment-reader.ts';
import { MatroskaWriter } from './matroska-writer.ts';

/** What ffmpeg has not read yet; a program that lets so much pile up is stuck. */
const MAX_UNREAD_BYTES = 16 << 20;
/** A segment ends with the first fragment that comes this close to its length: keyframes come by the picture. */
export const TOLERANCE_MS = 100;
/** So much media without a fragment is a program that is stuck, whatever it reads. */
const MAX_SILENT_SEGMENTS = 4;
const MAX_SILENT_EXTRA_MS = 10_000;
/** What comes is handed over this often, in ms of media: seldom, as nobody waits for less than a segment. */
const BATCH_MS = 200;
/** What was written last is packaged within this time. */
const GOODBYE_MS = 5_000;

/** The last of what is read to know the streams is kept, so that nothing is lost; little is needed, as the header tells. */
const INPUT = ['-probesize', '100000', '-analyzeduration', '0', '-f', 'matroska'];
const OUTPUT = [
  ...['-map', '0:v:0', '-map', '0:a:0', '-map_metadata', '-1'],
  ...['-c:v', 'copy'],
  // Sound is most of what recording costs: by the other coder, or at 128k on a pure tone, it is two to four times as much.
  ...['-c:a', 'aac', '-aac_coder', 'fast', '-b:a', '96k', '-ac', '2', '-ar', '48000'],
  // Sound stays with its times: what is missing is silence, and a sender's clock that drifts is followed in small steps.
  ...['-af', 'aresample=async=1:min_hard_comp=0.03:first_pts=0'],
  // Neither waits for the other for longer than this (µs).
  ...['-max_interleave_delta', '1000000'],
  ...['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-flush_packets', '1'],
  // A stream that never gives a keyframe does not fill its memory.
  ...['-frag_size', String(64 << 20)],
];

/** Some fragments in a row, beginning with a keyframe. */
export interface Segment {
  readonly data: Buffer;
  /** From the start of what this packager was given. */
  readonly startMs: number;
  readonly durationMs: number;
}

export interface PackagerHooks {
  /** What comes before every segment of this packager, once. */
  onInit(data: Buffer): void;
  onSegment(segment: Segment): void;
  /** It is over, and its process gone. Called once, and last. @param fault why it ended before it was told to */
  onEnd(fault: Error | null): void;
}

export interface PackagerOptions {
  readonly ffmpegPath: string;
  /** SPS and PPS, in Annex B. */
  readonly parameterSets: Uint8Array;
  readonly segmentMs: number;
}

/**
 * Makes fMP4 segments of one run of redacted pictures of one size, and of the sound with them, by an ffmpeg of its own:
 * pictures as they are, sound as AAC.
 */
export class Packager {
  readonly #options: PackagerOptions;
  readonly #hooks: PackagerHooks;
  readonly #input = new PassThrough({ highWaterMark: 1 << 20 });
  readonly #writer: MatroskaWriter;
  readonly #run: FfmpegRun;
  readonly #batch: Buffer[] = [];
  #batchMs = 0;
  readonly #gathered: Buffer[] = [];
  #gatheredMs = 0;
  #startMs = 0;
  #lastMs = 0;
  #isEnding = false;
  #fault: Error | null = null;
  #goodbye: NodeJS.Timeout | undefined;

  constructor(options: PackagerOptions, hooks: PackagerHooks) {
    this.#options = options;
    this.#hooks = hooks;
    const reader = new FragmentReader({
      onInit: (data) => hooks.onInit(data),
      onFragment: (fragment) => this.#gather(fragment),
    });
    const output = new Writable({
      write: (piece: Buffer, _encoding, done) => {
        try {
          if (!this.#fault) reader.push(piece);
        } catch (error) {
          this.#fail(error as Error);
        }
        done();
      },
    });
    this.#run = runFfmpeg({
      path: options.ffmpegPath,
      input: this.#input,
      inputOptions: INPUT,
      output,
      outputOptions: OUTPUT,
    });
    this.#writer = new MatroskaWriter(options.parameterSets, (bytes) => this.#batch.push(bytes));
    this.#run.done.then(
      () => this.#over(this.#isEnding ? null : new Error('ffmpeg ended by itself')),
      (error: Error) => this.#over(error),
    );
  }

  get pid(): number | undefined {
    return this.#run.pid;
  }

  /** The time of the last picture. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** @param timeMs from the start, more than of the picture before; the first is a keyframe */
  video(frame: Redacted<CodedVideo>, timeMs: number): void {
    if (this.#isOver) return;
    this.#lastMs = timeMs;
    this.#writer.video(frame, timeMs);
    // A keyframe ends the segment before it.
    if (frame.isKeyframe || timeMs - this.#batchMs >= BATCH_MS) this.#flush(timeMs);
    const silentMs = timeMs - this.#startMs - this.#gatheredMs;
    if (silentMs > MAX_SILENT_SEGMENTS * this.#options.segmentMs + MAX_SILENT_EXTRA_MS) {
      this.#fail(new Error('ffmpeg gives nothing'));
    } else if (this.#input.writableLength + this.#input.readableLength > MAX_UNREAD_BYTES) {
      this.#fail(new Error('ffmpeg does not read'));
    }
  }

  /** @param packet Opus */
  audio(packet: Pick<CodedAudio, 'data'>, timeMs: number): void {
    if (!this.#isOver) this.#writer.audio(packet, timeMs);
  }

  /** No more comes; what came is packaged, and then it is over. */
  end(): void {
    if (this.#isOver) return;
    this.#flush(this.#lastMs);
    this.#isEnding = true;
    this.#input.end();
    this.#goodbye = setTimeout(() => this.#fail(new Error('ffmpeg does not end')), GOODBYE_MS);
  }

  get #isOver(): boolean {
    return this.#isEnding || this.#fault !== null;
  }

  #flush(timeMs: number): void {
    this.#batchMs = timeMs;
    this.#input.write(Buffer.concat(this.#batch.splice(0)));
  }

  #gather({ data, durationMs }: Fragment): void {
    this.#gathered.push(data);
    this.#gatheredMs += durationMs;
    if (this.#gatheredMs >= this.#options.segmentMs - TOLERANCE_MS) this.#cut();
  }

  #cut(): void {
    if (this.#gathered.length === 0) return;
    const data = this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
    const segment = { data, startMs: this.#startMs, durationMs: this.#gatheredMs };
    this.#gathered.length = 0;
    this.#startMs += this.#gatheredMs;
    this.#gatheredMs = 0;
    this.#hooks.onSegment(segment);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#input.destroy();
    this.#run.kill();
  }

  #over(fault: Error | null): void {
    clearTimeout(this.#goodbye);
    this.#fault ??= fault;
    this.#input.destroy();
    // What was packaged whole is worth keeping, however it ended.
    this.#cut();
    this.#hooks.onEnd(this.#fault);
  }
}
