import type { CodedAudio, CodedVideo } from '../../../inference/live/coded-media.ts';
import type { MediaSink, MediaSource, SourceEnd } from '../../../sfu/media-source.ts';
import { until } from './until.ts';

/** A sink that keeps all it gets. */
export class RecordingSink implements MediaSink {
  readonly video: CodedVideo[] = [];
  readonly audio: CodedAudio[] = [];
  losses = 0;
  ended: { readonly end: SourceEnd; readonly message: string; readonly at: number } | null = null;

  /** Starts `source` into a new sink. */
  static of(source: MediaSource): RecordingSink {
    const sink = new RecordingSink();
    source.start(sink);
    return sink;
  }

  onVideo(frame: CodedVideo): void {
    if (this.ended) throw new Error('a picture after the end');
    this.video.push(frame);
  }

  onAudio(packet: CodedAudio): void {
    if (this.ended) throw new Error('sound after the end');
    this.audio.push(packet);
  }

  onLoss(): void {
    this.losses++;
  }

  onEnd(end: SourceEnd, message: string): void {
    if (this.ended) throw new Error('a second end');
    this.ended = { end, message, at: performance.now() };
  }

  async end(): Promise<{ readonly end: SourceEnd; readonly message: string; readonly at: number }> {
    await until(() => this.ended !== null, 'the source ends');
    return this.ended!;
  }
}
