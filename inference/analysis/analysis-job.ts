import type { ModelLocations } from '../../models/locations.ts';
import { resolveDetector, resolveModelOf, resolveRecogniser } from '../../models/resolve.ts';
import { openDetector } from '../detect/open-detector.ts';
import { fileTuning } from '../detect/tuning.ts';
import { InferenceError } from '../errors.ts';
import { fileInspection, frameRateOf, isFarFrom, windowFrames } from '../file-inspection.ts';
import type { FileJobHooks } from '../file-job.ts';
import { FrameSource } from '../frame-source.ts';
import { LANDMARKS } from '../image/still-model-names.ts';
import { type InspectedFrame, Inspector } from '../inspector.ts';
import { ProgressClock } from '../job-progress.ts';
import { InputFile } from '../media/input-file.ts';
import { VideoDecoder } from '../media/video-decoder.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { FaceEmbedder } from '../recognise/face-embedder.ts';
import { LandmarkFinder } from '../recognise/landmark-finder.ts';
import type { Analysis } from './analysis.ts';
import { AnalysisWriter } from './analysis-file.ts';
import { FrameClock } from './frame-clock.ts';
import { peopleOf } from './people.ts';
import { PictureFingerprint } from './picture-fingerprint.ts';
import { type FrameLooks, type PicturedLook, TrackLooks } from './track-looks.ts';
import { TrackletBuilder } from './tracklet-builder.ts';

export interface AnalysisJobOptions {
  readonly input: string;
  /** Where to write the faces of each frame; a temporary name that the caller renames. */
  readonly output: string;
  readonly models: ModelLocations;
}

const MODEL_THREADS = 1;
const DECODER_THREADS = 2;
/** The first looks at a face are so far apart, later ones so far. */
const LOOK_APART_SECONDS = 1 / 6;
const LOOK_EVERY_SECONDS = 1 / 2;
/** A face that so many detections in a row miss may be another's when it is seen again. */
const MAX_MISSED_DETECTIONS = 2;

/** What is known of a frame while it is in the window. */
interface Waiting {
  readonly pts: bigint;
  readonly fingerprint: number;
}

/** Looks at one file in this process, start to end: where faces are in each frame, and who appears. */
export class AnalysisJob {
  readonly #options: AnalysisJobOptions;
  readonly #hooks: FileJobHooks;
  readonly #fingerprint = new PictureFingerprint();
  /** By frame: of those in the window. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #looks = new Map<number, FrameLooks>();
  readonly #clock = new FrameClock();

  constructor(options: AnalysisJobOptions, hooks: FileJobHooks) {
    this.#options = options;
    this.#hooks = hooks;
  }

  /** @throws InferenceError, ModelError */
  async run(): Promise<Analysis> {
    const { models, output } = this.#options;
    await using open = new AsyncDisposableStack();
    open.defer(() => this.#fingerprint.close());
    const input = open.adopt(await InputFile.open(this.#options.input), (file) => file.close());
    const { entry, bytes } = await resolveDetector(models, (message) => this.#hooks.onWarning(message));
    const detector = open.adopt(await openDetector(entry, bytes, MODEL_THREADS), (d) => d.close());
    const found = await resolveRecogniser(models);
    const embedder = open.adopt(await FaceEmbedder.open(found.entry, found.bytes, MODEL_THREADS), (e) => e.close());
    const decoder = open.adopt(await VideoDecoder.open(input.video, input.displayMatrix, DECODER_THREADS), (d) =>
      d.close(),
    );
    const source = open.adopt(new FrameSource(input, decoder, async (packet) => packet.free()), (s) => s.close());
    const first = await source.next();
    if (!first) {
      throw new InferenceError('input-not-video', `${this.#options.input} holds no picture that can be decoded`);
    }
    const { width, height } = first.picture;
    const rate = frameRateOf(input);
    const { fps } = rate;
    const inspection = fileInspection(detector, fileTuning(entry), rate, first);
    const maxUnseenFrames = (MAX_MISSED_DETECTIONS + 1) * inspection.detectEveryFrames;
    const looks = open.adopt(this.#makeLooks(embedder, fps, maxUnseenFrames, open), (l) => l.close());
    const builder = new TrackletBuilder({ maxUnseenFrames, thresholds: embedder.thresholds });
    const inspector = open.adopt(
      new Inspector({
        ...inspection,
        dropsPictures: true,
        windowFrames: Math.max(inspection.detectEveryFrames, windowFrames(fps)),
        onSeen: async (frame, faces) => {
          this.#looks.set(frame.index, await looks.look(frame, faces));
        },
      }),
      (i) => i.close(),
    );
    const writer = open.adopt(await AnalysisWriter.create(output, width, height), (w) => w.close());
    const progress = new ProgressClock(input.expectedFrames, 'analysing', (p) => this.#hooks.onProgress(p));
    let frames = 0;
    const drain = async (inspected: readonly InspectedFrame[]): Promise<void> => {
      for (const frame of inspected) {
        await this.#note(frame, writer, builder);
        progress.tick(++frames);
      }
    };
    const { num, den } = input.video.timeBase;
    let lastPts = first.picture.pts;
    for (let frame: VideoFrame | null = first; frame; frame = await source.next()) {
      if (isFarFrom(lastPts, frame, input)) await inspector.gap();
      lastPts = frame.picture.pts;
      this.#take(frame, (Number(lastPts) * num * 1000) / den, (Number(frame.picture.duration) * num * 1000) / den);
      await drain(await inspector.push(frame));
    }
    for await (const frame of inspector.flush()) await drain([frame]);
    progress.finish();
    await writer.finish();
    this.#warn(inspector.failures.count, looks);

    const finished = builder.finish();
    const tracklets = finished.map(({ tracklet }) => tracklet);
    const portraits = finished.map(({ portrait }) => portrait);
    return {
      path: output,
      width,
      height,
      fps,
      frames,
      durationMs: Math.round(this.#clock.endMs(frames - 1)),
      detector: detector.name,
      recogniser: embedder.name,
      thresholds: embedder.thresholds,
      tracklets,
      people: peopleOf(tracklets, portraits, embedder.thresholds.track, this.#clock),
    };
  }

  #makeLooks(embedder: FaceEmbedder, fps: number, maxUnseenFrames: number, open: AsyncDisposableStack): TrackLooks {
    return new TrackLooks({
      embedder,
      openLandmarks: async () => {
        const { entry, bytes } = await resolveModelOf('landmarks', LANDMARKS, this.#options.models);
        return open.adopt(await LandmarkFinder.open(entry, bytes, MODEL_THREADS), (finder) => finder.close());
      },
      apartFrames: Math.max(1, Math.round(fps * LOOK_APART_SECONDS)),
      everyFrames: Math.max(1, Math.round(fps * LOOK_EVERY_SECONDS)),
      maxUnseenFrames,
    });
  }

  #take({ index, picture }: VideoFrame, startMs: number, durationMs: number): void {
    this.#waiting.set(index, { pts: picture.pts, fingerprint: this.#fingerprint.of(picture) });
    this.#clock.add(startMs, durationMs);
  }

  async #note(
    { frame, faces, inspection }: InspectedFrame,
    writer: AnalysisWriter,
    builder: TrackletBuilder,
  ): Promise<void> {
    const { index } = frame;
    const seen = this.#waiting.get(index)!;
    this.#waiting.delete(index);
    const looked = this.#looks.get(index);
    this.#looks.delete(index);
    const looks = new Map<number, PicturedLook>();
    for (const [track, coming] of looked?.looks ?? []) {
      const look = await coming;
      if (look) looks.set(track, look);
    }
    const isInspected = inspection !== null;
    builder.add({ index, isInspected, faces }, looks, looked?.jumped ?? NOBODY);
    await writer.add({ ...seen, isInspected, faces });
  }

  #warn(failedDetections: number, looks: TrackLooks): void {
    if (failedDetections > 0) {
      this.#hooks.onWarning(`detection failed ${failedDetections} times; those frames are covered whole`);
    }
    if (looks.failures.count > 0) {
      this.#hooks.onWarning(`${looks.failures.count} looks at faces failed; who could not be told is covered`);
    }
    if (looks.isExhausted) {
      this.#hooks.onWarning('there are more faces than can be told apart; those at the end are covered');
    }
  }
}

const NOBODY: ReadonlySet<number> = new Set();
