import type { Logger } from 'pino';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import type { LiveFace } from '../../inference/live/live-engine.ts';
import { parameterSetsOf } from '../../sfu/rtmp/avc.ts';
import type { LiveStream } from '../../sfu/stream-types.ts';
import type { RedactedPublish, RedactedSink } from '../../sfu/view/redacted-sinks.ts';
import { LivePart, type PartSegment } from './live-part.ts';
import type { OpenRecording } from './open-recording.ts';

/** Runs at a time: one that is recorded, and those before it whose ffmpeg still writes. */
const MAX_PARTS = 4;
/** So many ffmpegs in a row that died before they gave a segment end the recording. */
const MAX_FAILURES = 5;
/** The next one is started after this time. */
const RESTART_MS = 250;

/** What a stream is packaged for: to be kept, to be watched live alone, or not at all. */
export type PackagedFor = 'recording' | 'window' | null;

export interface StreamRecorderOptions {
  readonly live: Pick<LiveStream, 'id' | 'state' | 'observe' | 'addSink'>;
  readonly ffmpegPath: string;
  readonly segmentMs: number;
  readonly log: Logger;
  /** A recording or window begins. */
  begin(isKept: boolean): OpenRecording;
  /** Nothing more comes of it. */
  onEnded(recording: OpenRecording): void;
  /** It can't go on, until it is asked for again; the stream goes on. */
  onGivenUp(recording: OpenRecording | null, reason: string): void;
}

/**
 * Records one stream while it is live: hands what leaves it to one ffmpeg after another, each with pictures of one size,
 * and their segments in order to a recording. Nothing that happens here reaches the stream.
 */
export class StreamRecorder implements RedactedSink {
  readonly #options: StreamRecorderOptions;
  readonly #detach: (() => void)[];
  /** In order; the last one may still take what comes. */
  readonly #parts: LivePart[] = [];
  #purpose: PackagedFor = null;
  /** What was asked for last, other than to end. */
  #isKept = false;
  #publish: RedactedPublish | null = null;
  #current: LivePart | null = null;
  #recording: OpenRecording | null = null;
  #faces: readonly LiveFace[] = [];
  #failures = 0;
  #restartAt = 0;
  #hasGivenUp = false;
  /** When what is under way is over, the recording is as well. */
  #isEnding = false;

  constructor(options: StreamRecorderOptions) {
    this.#options = options;
    this.#detach = [
      options.live.observe({
        onState: (_from, to) => {
          if (to !== 'idle') return;
          this.#hasGivenUp = false;
          this.#end();
        },
        onFaces: (faces) => {
          this.#faces = faces;
          this.#current?.faces(faces);
        },
      }),
      options.live.addSink(this),
    ];
  }

  /** The recording or window under way. */
  get recording(): OpenRecording | null {
    return this.#recording;
  }

  /** Of the ffmpeg that packages now. */
  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /** From the next segment on; null ends it. One that was given up is tried again. */
  packageFor(purpose: PackagedFor): void {
    this.#hasGivenUp = false;
    this.#failures = 0;
    this.#purpose = purpose;
    if (purpose !== null) this.#isKept = purpose === 'recording';
    if (purpose === null) this.#end();
    else if (!this.#current) this.#publish?.requestKeyframe();
  }

  onBegin(publish: RedactedPublish): void {
    this.#publish = publish;
    this.#faces = [];
    if (this.#takes) publish.requestKeyframe();
  }

  onVideo(frame: Redacted<CodedVideo>, timeMs: number): void {
    if (!this.#takes) return;
    if (frame.isKeyframe) this.#follow(frame);
    this.#current?.video(frame, timeMs);
  }

  onAudio(packet: CodedAudio, timeMs: number): void {
    this.#current?.audio(packet, timeMs);
  }

  onEnd(): void {
    this.#publish = null;
    this.#endPart();
  }

  /** Ends the recording under way without another to follow, until it is asked for again. */
  giveUp(reason: string): void {
    if (this.#hasGivenUp) return;
    this.#hasGivenUp = true;
    const recording = this.#recording;
    recording?.lost(reason);
    this.#options.log.warn({ recording: recording?.id, reason }, 'recording stopped');
    this.#options.onGivenUp(recording, reason);
    this.#end();
  }

  /** Ends the recording; its last segment may still be on its way to `onEnded`. */
  close(): void {
    for (const detach of this.#detach) detach();
    this.#purpose = null;
    this.#end();
  }

  get #takes(): boolean {
    return this.#purpose !== null && !this.#hasGivenUp && this.#publish?.codec === 'h264';
  }

  /** A keyframe: where it is of another size, or nothing is under way, another ffmpeg begins with it. */
  #follow({ data }: Redacted<CodedVideo>): void {
    const parameterSets = parameterSetsOf(data);
    const current = this.#current;
    if (current && (parameterSets.length === 0 || Buffer.from(current.parameterSets).equals(parameterSets))) return;
    if (parameterSets.length === 0 || performance.now() < this.#restartAt) return;
    this.#endPart();
    if (this.#parts.length >= MAX_PARTS) return;
    this.#isEnding = false;
    const { ffmpegPath, segmentMs } = this.#options;
    const part: LivePart = new LivePart({
      ffmpegPath,
      segmentMs,
      parameterSets,
      requestKeyframe: () => this.#publish?.requestKeyframe(),
      onChange: () => this.#onChange(part),
    });
    part.faces(this.#faces);
    this.#parts.push(part);
    this.#current = part;
    this.#recording ??= this.#options.begin(this.#isKept);
  }

  #endPart(): void {
    this.#current?.end();
    this.#current = null;
  }

  #end(): void {
    this.#endPart();
    this.#isEnding = true;
    this.#deliver();
  }

  #onChange(part: LivePart): void {
    if (part.fault) this.#onFault(part, part.fault);
    this.#deliver();
  }

  #onFault(part: LivePart, fault: Error): void {
    this.#options.log.warn({ err: fault, recording: this.#recording?.id }, 'the ffmpeg of a recording failed');
    this.#recording?.lost('ffmpeg failed meanwhile');
    this.#failures++;
    if (part !== this.#current) return;
    this.#current = null;
    if (this.#failures >= MAX_FAILURES) {
      this.giveUp('ffmpeg only fails');
      return;
    }
    this.#restartAt = performance.now() + RESTART_MS;
    setTimeout(() => this.#publish?.requestKeyframe(), RESTART_MS).unref();
  }

  /** What ffmpegs gave goes on in the order in which they were started. */
  #deliver(): void {
    for (let part = this.#parts[0]; part; part = this.#parts[0]) {
      for (const segment of part.segments.splice(0)) {
        this.#failures = 0;
        this.#add(part, segment);
      }
      if (!part.isOver) return;
      this.#parts.shift();
    }
    if (!this.#isEnding || !this.#recording) return;
    this.#options.onEnded(this.#recording);
    this.#recording = null;
  }

  /** What can't be read is left out: nothing of it reaches the stream. */
  #add(part: LivePart, segment: PartSegment): void {
    const recording = this.#target();
    try {
      recording.add(part, part.init!, segment);
    } catch (error) {
      this.#options.log.error({ err: error, recording: recording.id }, 'a segment was left out');
      recording.lost('a segment could not be read');
    }
  }

  /** The recording that a segment goes to: another one from here on where it is to be kept from now on, or no longer. */
  #target(): OpenRecording {
    if (this.#recording && this.#recording.isKept !== this.#isKept) {
      this.#options.onEnded(this.#recording);
      this.#recording = null;
    }
    this.#recording ??= this.#options.begin(this.#isKept);
    return this.#recording;
  }
}
