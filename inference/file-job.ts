import type { Packet, Stream } from 'node-av';
import type { ModelLocations } from '../models/locations.ts';
import { resolveDetector } from '../models/resolve.ts';
import { AnalysedPipeline } from './analysis/analysed-pipeline.ts';
import type { Verdict } from './analysis/analysis.ts';
import { VerdictIndex } from './analysis/verdict-index.ts';
import { openDetector } from './detect/open-detector.ts';
import { fileTuning } from './detect/tuning.ts';
import { InferenceError } from './errors.ts';
import { type FrameRate, fileInspection, frameRateOf, isFarFrom, TRACK_LIFE_SECONDS } from './file-inspection.ts';
import { FrameSink } from './frame-sink.ts';
import { FrameSource } from './frame-source.ts';
import { type BlurProgress, ProgressClock } from './job-progress.ts';
import { AudioTrack } from './media/audio-track.ts';
import { descriptiveTags } from './media/descriptive-tags.ts';
import { InputFile } from './media/input-file.ts';
import { OutputFile } from './media/output-file.ts';
import type { OutputKind, VideoCodec } from './media/output-kind.ts';
import type { Adaptation } from './media/picture-converter.ts';
import { VideoDecoder } from './media/video-decoder.ts';
import { VideoEncoder } from './media/video-encoder.ts';
import { pictureBytes, type VideoFrame } from './media/video-frame.ts';
import { BlurPipeline, type RedactedPicture } from './pipeline.ts';
import type { BlurPolicy } from './policy.ts';
import { type ReportSummary, ReportWriter } from './report-writer.ts';

export interface FileJobOptions {
  readonly input: string;
  /** Where to write; a temporary name that the caller renames. */
  readonly output: string;
  readonly kind: OutputKind;
  /** Whether tags that describe the file go along: title, artist, time of creation; never a place or a device. */
  readonly keepMetadata: boolean;
  readonly policy: BlurPolicy;
  /** Where to write the report, likewise; null for none. */
  readonly report: string | null;
  readonly models: ModelLocations;
  /** What an analysis found and what was decided by it; without it the file is looked at now, and everyone covered. */
  readonly analysed?: AnalysedFaces;
}

/** Faces that are known already. */
export interface AnalysedFaces {
  /** The analysis' file. */
  readonly path: string;
  /** It is of no use without the job's parent, and goes with it. */
  readonly isTemporary: boolean;
  /** The models that made it, by their names in the manifest. */
  readonly detector: string;
  readonly recogniser: string;
  readonly verdicts: readonly Verdict[];
  /** What the report says of the policy. */
  readonly chosen: ReportSummary['chosen'];
}

export interface BlurFileResult {
  readonly frames: number;
  readonly durationMs: number;
  /** Tracks that were covered, all the time or some of it. */
  readonly faces: number;
  /** Tracks that were left as they are for some of the time; only where people were told apart. */
  readonly shown?: number;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** The detector's name in the manifest. */
  readonly detector: string;
  /** Frames covered whole because they were damaged or detection failed on them. */
  readonly coveredWhole: number;
}

/** Decoded frames go in, and come out redacted, in order. */
interface FramePipeline {
  readonly failures: { readonly count: number; readonly last: unknown };
  /** Frames that are not what was analysed. */
  readonly changedFrames?: number;
  push(frame: VideoFrame): Promise<RedactedPicture[]>;
  /** Frames are missing before the next one. */
  gap(): Promise<void>;
  flush(): AsyncIterable<RedactedPicture>;
}

export interface FileJobHooks {
  onProgress(progress: BlurProgress): void;
  onWarning(message: string): void;
}

/** Threads of each part: more of them only get in each other's way on two cores. */
const DETECTOR_THREADS = 1;
const DECODER_THREADS = 2;
const ENCODER_THREADS = 2;
/** Each at the speed that detection goes at on two cores, and at about the same quality. */
const ENCODERS: Readonly<Record<VideoCodec, { preset: string; tuning: string; crf: number }>> = {
  // The tuning costs hardly more than the bare preset and saves two thirds of its size.
  h264: { preset: 'ultrafast', tuning: 'cabac=1:8x8dct=1:bframes=3:b-adapt=0:weightp=0', crf: 21 },
  vp9: { preset: '7', tuning: 'row-mt=1:tile-columns=1:lag-in-frames=0', crf: 24 },
  // Without look-ahead: it would hold dozens of pictures.
  av1: { preset: '11', tuning: 'pred-struct=1:lp=2', crf: 28 },
};
/** Of pictures from this size on (1440p), every one that x264 holds counts: no B-frames, no second thread. */
const LARGE_PICTURE_BYTES = 5 * 2 ** 20;
const LARGE_H264_TUNING = 'cabac=1:8x8dct=1:weightp=0';
/** The output may take this times the source's bit rate ... */
const MAX_BITRATE_RATIO = 1.22;
/** ... and never less than these: below, a fast encoder shows blocks where a slow one, which made the source, did not. */
const MIN_BITRATE_CAP_BPS = 300_000;
const MIN_BITS_A_PIXEL = 0.03;
/** Audio that comes before the first picture waits for the header; no real file has this many packets of it. */
const MAX_EARLY_AUDIO = 20_000;

const ADAPTED: Readonly<Record<Adaptation, string>> = {
  deinterlaced: 'the video is interlaced; each pair of fields became one whole picture',
  'tone-mapped': 'the video is HDR; its colours were mapped to BT.709, which every screen shows',
};

/** Blurs one file in this process, start to end. Whole only when it returns; else the caller removes what it left. */
export class FileJob {
  readonly #options: FileJobOptions;
  readonly #hooks: FileJobHooks;
  readonly #covered = new Set<number>();
  readonly #shown = new Set<number>();
  readonly #earlyAudio: Packet[] = [];
  readonly #audio = new Map<number, AudioTrack>();
  /** Whether the header and all early packets are written, so that audio need not wait. */
  #audioFlows = false;
  #frames = 0;
  #coveredWhole = 0;
  #firstPts: bigint | undefined;
  #endPts = 0n;

  constructor(options: FileJobOptions, hooks: FileJobHooks) {
    this.#options = options;
    this.#hooks = hooks;
  }

  /** @throws InferenceError, ModelError */
  async run(): Promise<BlurFileResult> {
    await using open = new AsyncDisposableStack();
    const input = open.adopt(await InputFile.open(this.#options.input), (file) => file.close());
    const decoder = open.adopt(await VideoDecoder.open(input.video, input.displayMatrix, DECODER_THREADS), (d) =>
      d.close(),
    );
    const source = open.adopt(new FrameSource(input, decoder, (packet) => this.#onAudio(packet)), (s) => s.close());

    const first = await source.next();
    if (!first)
      throw new InferenceError('input-not-video', `${this.#options.input} holds no picture that can be decoded`);
    const { width, height } = first.picture;
    const rate = frameRateOf(input);
    const { fps } = rate;
    const { kind, keepMetadata } = this.#options;
    const tags = keepMetadata ? descriptiveTags(input.tags) : {};
    const output = open.adopt(await OutputFile.create(this.#options.output, kind.container, tags), (file) =>
      file.close(),
    );
    const encoder = open.adopt(await this.#openEncoder(input, first), (e) => e.close());
    const videoTrack = output.addEncoded(encoder.context, encoder.context.framerate);
    await this.#openAudio(input, output, open);
    await output.writeHeader();
    for (let packet = this.#earlyAudio.shift(); packet; packet = this.#earlyAudio.shift())
      await this.#writeAudio(packet);
    this.#audioFlows = true;

    const { pipeline, detector } = await this.#openPipeline(rate, first, open);
    const { analysed, report: reportPath } = this.#options;
    const verdicts = new VerdictIndex(analysed?.verdicts ?? []);
    const report = reportPath ? open.adopt(await ReportWriter.create(reportPath, verdicts), (r) => r.close()) : null;
    const sink = open.adopt(new FrameSink(encoder, output, videoTrack), (s) => s.close());
    const progress = new ProgressClock(input.expectedFrames, 'blurring', (p) => this.#hooks.onProgress(p));

    const drain = async (pictures: RedactedPicture[]): Promise<void> => {
      for (const { frame, covers, shown, whole } of pictures) {
        for (const { track } of covers) this.#covered.add(track);
        for (const { track } of shown) this.#shown.add(track);
        if (whole) this.#coveredWhole++;
        await report?.add(frame.index, covers, shown, Math.ceil(fps * TRACK_LIFE_SECONDS));
        await sink.push(frame);
        progress.tick(++this.#frames);
      }
    };
    const { num, den } = input.video.timeBase;
    let lastPts = first.picture.pts;
    for (let frame: VideoFrame | null = first; frame; frame = await source.next()) {
      this.#firstPts ??= frame.picture.pts;
      if (isFarFrom(lastPts, frame, input)) await pipeline.gap();
      lastPts = frame.picture.pts;
      this.#endPts = frame.picture.pts + frame.picture.duration;
      await drain(await pipeline.push(frame));
    }
    for await (const picture of pipeline.flush()) await drain([picture]);
    progress.finish();
    await sink.flush();
    for (const track of this.#audio.values()) await track.flush();
    await output.finish();
    if (pipeline.failures.count > 0) {
      this.#hooks.onWarning(`detection failed ${pipeline.failures.count} times; those frames are covered whole`);
    }

    const adaptations = [...decoder.adaptations];
    for (const adaptation of adaptations) this.#hooks.onWarning(ADAPTED[adaptation]);
    const { changedFrames = 0 } = pipeline;
    if (changedFrames > 0) {
      this.#hooks.onWarning(
        `${changedFrames} frames are not as they were analysed: did the file change? They are covered whole`,
      );
    }
    const durationMs = (Number(this.#endPts - (this.#firstPts ?? 0n)) * num * 1000) / den;
    const figures = { width, height, fps, frames: this.#frames, durationMs: Math.round(durationMs) };
    await report?.finish({
      input: { path: this.#options.input, ...figures },
      output: { path: this.#options.output },
      detector,
      recogniser: analysed?.recogniser ?? null,
      policy: this.#options.policy,
      chosen: analysed?.chosen ?? { mode: 'all', identities: [] },
      adaptations,
    });
    const result = { ...figures, faces: this.#covered.size, detector, coveredWhole: this.#coveredWhole };
    return analysed ? { ...result, shown: this.#shown.size } : result;
  }

  #openEncoder(input: InputFile, like: VideoFrame): Promise<VideoEncoder> {
    const { codec } = this.#options.kind;
    const bitRate = input.bitRateBps;
    const isLarge = pictureBytes(like) >= LARGE_PICTURE_BYTES;
    const { width, height } = like.picture;
    const rate = frameRateOf(input);
    const leastBps = Math.max(MIN_BITRATE_CAP_BPS, MIN_BITS_A_PIXEL * width * height * rate.fps);
    return VideoEncoder.open(like, {
      codec,
      timeBase: input.video.timeBase,
      frameRate: rate.said === null ? { num: 0, den: 1 } : input.video.avgFrameRate,
      threads: isLarge ? 1 : ENCODER_THREADS,
      ...ENCODERS[codec],
      ...(isLarge && codec === 'h264' && { tuning: LARGE_H264_TUNING }),
      maxBitrateBps: bitRate === null ? null : Math.max(leastBps, bitRate * MAX_BITRATE_RATIO),
    });
  }

  /** What makes decoded frames redacted ones, and the name of the detector that says where faces are. */
  async #openPipeline(
    rate: FrameRate,
    first: VideoFrame,
    open: AsyncDisposableStack,
  ): Promise<{ pipeline: FramePipeline; detector: string }> {
    const { analysed, models, policy } = this.#options;
    if (analysed) {
      const known = open.adopt(await AnalysedPipeline.open({ ...analysed, policy }), (p) => p.close());
      return { pipeline: known, detector: analysed.detector };
    }
    const { entry, bytes } = await resolveDetector(models, (message) => this.#hooks.onWarning(message));
    const detector = open.adopt(await openDetector(entry, bytes, DETECTOR_THREADS), (d) => d.close());
    const inspection = fileInspection(detector, fileTuning(entry), rate, first);
    const looking = open.adopt(new BlurPipeline({ ...inspection, policy }), (p) => p.close());
    return { pipeline: looking, detector: detector.name };
  }

  async #openAudio(input: InputFile, output: OutputFile, open: AsyncDisposableStack): Promise<void> {
    for (const stream of input.audio) {
      const track = await this.#openTrack(stream, output);
      if (track)
        this.#audio.set(
          stream.index,
          open.adopt(track, (opened) => opened.close()),
        );
    }
  }

  /** @returns null where nobody could play it either */
  async #openTrack(stream: Stream, output: OutputFile): Promise<AudioTrack | null> {
    try {
      return await AudioTrack.open(stream, output, this.#options.keepMetadata);
    } catch (error) {
      if (!(error instanceof InferenceError && error.code === 'input-not-video')) throw error;
      this.#hooks.onWarning(`sound track ${stream.index} is left out: ${error.message}`);
      return null;
    }
  }

  async #onAudio(packet: Packet): Promise<void> {
    if (this.#audioFlows) {
      await this.#writeAudio(packet);
      return;
    }
    if (this.#earlyAudio.length >= MAX_EARLY_AUDIO) {
      throw new InferenceError('input-not-video', `${this.#options.input} holds no picture near its start`);
    }
    this.#earlyAudio.push(packet);
  }

  async #writeAudio(packet: Packet): Promise<void> {
    const track = this.#audio.get(packet.streamIndex);
    if (track) await track.write(packet);
    else packet.free();
  }
}
