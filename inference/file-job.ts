import type { Packet, Stream } from 'node-av';
import type { ModelLocations } from '../models/locations.ts';
import { resolveDetector } from '../models/resolve.ts';
import type { Detector } from './detect/detector.ts';
import { openDetector } from './detect/open-detector.ts';
import { type FileTuning, fileTuning } from './detect/tuning.ts';
import { InferenceError } from './errors.ts';
import { FrameSink } from './frame-sink.ts';
import { FrameSource } from './frame-source.ts';
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
import { ReportWriter } from './report-writer.ts';

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
}

export interface BlurProgress {
  readonly stage: 'starting' | 'blurring' | 'finishing';
  /** Frames done. */
  readonly frames: number;
  readonly totalFrames: number | null;
  /** Frames a second, lately. */
  readonly fps: number;
  readonly etaMs: number | null;
}

export interface BlurFileResult {
  readonly frames: number;
  readonly durationMs: number;
  /** Tracks that were covered. */
  readonly faces: number;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** The detector's name in the manifest. */
  readonly detector: string;
  /** Frames covered whole because they were damaged or detection failed on them. */
  readonly coveredWhole: number;
}

export interface FileJobHooks {
  onProgress(progress: BlurProgress): void;
  onWarning(message: string): void;
}

/** How far a face found late is covered backwards, and how long one out of sight stays covered. */
const WINDOW_SECONDS = 2;
const LOST_SECONDS = 1;
/** The window never holds more pictures than fit here. */
const WINDOW_BYTES = 160 * 2 ** 20;
const DEFAULT_FPS = 30;
/** A header that names fewer or more frames a second than these is not believed. */
const MIN_FPS = 0.01;
const MAX_FPS = 1000;
/** Between two pictures further apart anything may have happened: both are looked at. Seconds. */
const MAX_UNSEEN_SECONDS = 0.5;
/** So many pictures apart are two looks at most, whatever rate a header names; where none is believed, all are seen. */
const MAX_DETECT_EVERY_FRAMES = 20;
const PROGRESS_INTERVAL_MS = 200;
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
/** The output may take this times the source's bit rate, and never less than the floor. */
const MAX_BITRATE_RATIO = 1.22;
const MIN_BITRATE_CAP_BPS = 300_000;
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
  readonly #tracks = new Set<number>();
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
    const { entry, bytes } = await resolveDetector(this.#options.models, (message) => this.#hooks.onWarning(message));
    const detector = open.adopt(await openDetector(entry, bytes, DETECTOR_THREADS), (d) => d.close());
    const decoder = open.adopt(await VideoDecoder.open(input.video, input.displayMatrix, DECODER_THREADS), (d) =>
      d.close(),
    );
    const source = open.adopt(new FrameSource(input, decoder, (packet) => this.#onAudio(packet)), (s) => s.close());

    const first = await source.next();
    if (!first)
      throw new InferenceError('input-not-video', `${this.#options.input} holds no picture that can be decoded`);
    const { width, height } = first.picture;
    const saidFps = frameRateOf(input);
    const fps = saidFps ?? DEFAULT_FPS;
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

    const tuning = fileTuning(entry);
    const pipeline = open.adopt(this.#makePipeline(detector, tuning, first, saidFps), (p) => p.close());
    const { report: reportPath } = this.#options;
    const report = reportPath ? open.adopt(await ReportWriter.create(reportPath), (r) => r.close()) : null;
    const sink = open.adopt(new FrameSink(encoder, output, videoTrack), (s) => s.close());
    const progress = new ProgressClock(input.expectedFrames, (p) => this.#hooks.onProgress(p));

    const drain = async (pictures: RedactedPicture[]): Promise<void> => {
      for (const { frame, covers, whole } of pictures) {
        for (const { track } of covers) this.#tracks.add(track);
        if (whole) this.#coveredWhole++;
        await report?.add(frame.index, covers, Math.ceil(fps * (WINDOW_SECONDS + LOST_SECONDS)));
        await sink.push(frame);
        progress.tick(++this.#frames);
      }
    };
    const { num, den } = input.video.timeBase;
    let lastPts = first.picture.pts;
    for (let frame: VideoFrame | null = first; frame; frame = await source.next()) {
      this.#firstPts ??= frame.picture.pts;
      if (Number(frame.picture.pts - lastPts) * num > MAX_UNSEEN_SECONDS * den) await pipeline.gap();
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
    const durationMs = (Number(this.#endPts - (this.#firstPts ?? 0n)) * num * 1000) / den;
    const figures = { width, height, fps, frames: this.#frames, durationMs: Math.round(durationMs) };
    await report?.finish({
      input: { path: this.#options.input, ...figures },
      output: { path: this.#options.output },
      detector: detector.name,
      policy: this.#options.policy,
      adaptations,
    });
    return { ...figures, faces: this.#tracks.size, detector: detector.name, coveredWhole: this.#coveredWhole };
  }

  #openEncoder(input: InputFile, like: VideoFrame): Promise<VideoEncoder> {
    const { codec } = this.#options.kind;
    const bitRate = input.bitRateBps;
    const isLarge = pictureBytes(like) >= LARGE_PICTURE_BYTES;
    return VideoEncoder.open(like, {
      codec,
      timeBase: input.video.timeBase,
      frameRate: frameRateOf(input) === null ? { num: 0, den: 1 } : input.video.avgFrameRate,
      threads: isLarge ? 1 : ENCODER_THREADS,
      ...ENCODERS[codec],
      ...(isLarge && codec === 'h264' && { tuning: LARGE_H264_TUNING }),
      maxBitrateBps: bitRate === null ? null : Math.max(MIN_BITRATE_CAP_BPS, bitRate * MAX_BITRATE_RATIO),
    });
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

  #makePipeline(detector: Detector, tuning: FileTuning, like: VideoFrame, saidFps: number | null): BlurPipeline {
    const fps = saidFps ?? DEFAULT_FPS;
    const fits = Math.floor(WINDOW_BYTES / pictureBytes(like));
    const everyFrames = saidFps === null ? 1 : Math.max(1, Math.round(fps * tuning.detectEverySeconds));
    const detectEveryFrames = Math.min(MAX_DETECT_EVERY_FRAMES, everyFrames);
    return new BlurPipeline({
      detector,
      policy: this.#options.policy,
      detectEveryFrames,
      looksBeside: true,
      inputPx: tuning.inputPx,
      sharpEveryFrames: tuning.sharpEverySeconds > 0 ? Math.max(1, Math.round(fps * tuning.sharpEverySeconds)) : 0,
      sharpInputPx: tuning.sharpInputPx,
      sharpTiles: tuning.sharpTiles,
      turnEveryFrames: Math.round(fps * tuning.turnEverySeconds),
      minScore: tuning.minScore,
      windowFrames: Math.max(detectEveryFrames, Math.min(Math.round(fps * WINDOW_SECONDS), fits)),
      tracker: { ...tuning.tracker, maxLostFrames: Math.ceil(fps * LOST_SECONDS) },
    });
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

/** Frames a second, or null where the file says none or none that can be. */
function frameRateOf(input: InputFile): number | null {
  const { num, den } = input.video.avgFrameRate;
  const fps = num > 0 && den > 0 ? num / den : 0;
  return fps >= MIN_FPS && fps <= MAX_FPS ? fps : null;
}

/** Tells progress a few times a second. */
class ProgressClock {
  readonly #total: number | null;
  readonly #tell: (progress: BlurProgress) => void;
  #toldMs = performance.now();
  #toldFrames = 0;
  #frames = 0;
  #fps = 0;

  constructor(total: number | null, tell: (progress: BlurProgress) => void) {
    this.#total = total;
    this.#tell = tell;
    this.#say('starting');
  }

  tick(frames: number): void {
    this.#frames = frames;
    const elapsed = performance.now() - this.#toldMs;
    if (elapsed < PROGRESS_INTERVAL_MS) return;
    const fps = ((frames - this.#toldFrames) * 1000) / elapsed;
    this.#fps = this.#fps === 0 ? fps : this.#fps * 0.8 + fps * 0.2;
    this.#toldMs += elapsed;
    this.#toldFrames = frames;
    this.#say('blurring');
  }

  finish(): void {
    this.#say('finishing');
  }

  #say(stage: BlurProgress['stage']): void {
    const left = this.#total === null ? null : Math.max(0, this.#total - this.#frames);
    const etaMs = left === null || this.#fps === 0 ? null : Math.round((left * 1000) / this.#fps);
    this.#tell({ stage, frames: this.#frames, totalFrames: this.#total, fps: Math.round(this.#fps * 10) / 10, etaMs });
  }
}
