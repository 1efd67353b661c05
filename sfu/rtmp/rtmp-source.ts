import type { AudioFormat, CodedAudio, CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import type { MediaSink, MediaSource, SourceCounters, SourceEnd } from '../media-source.ts';
import type { PendingMedia } from './pending-media.ts';

/** What an RTMP publisher sends: H.264 and AAC. Fed by its session; ends with its connection. */
export class RtmpSource implements MediaSource {
  readonly kind = 'rtmp';
  readonly video: VideoCodec | null;
  readonly audio: AudioFormat | null;
  readonly canRequestKeyframe = false;
  readonly #counters: () => SourceCounters;
  readonly #disconnect: () => Promise<void>;
  readonly #pending: PendingMedia;
  #sink: MediaSink | null = null;
  #end: { readonly end: SourceEnd; readonly message: string } | null = null;

  /** @param pending what came while it was not known what there is; the source's from now on */
  constructor(
    tracks: { readonly video: VideoCodec | null; readonly audio: AudioFormat | null },
    pending: PendingMedia,
    connection: { counters(): SourceCounters; disconnect(): Promise<void> },
  ) {
    this.video = tracks.video;
    this.audio = tracks.audio;
    this.#pending = pending;
    this.#counters = () => connection.counters();
    this.#disconnect = () => connection.disconnect();
  }

  start(sink: MediaSink): void {
    if (this.#sink) throw new Error('a source starts once');
    this.#sink = sink;
    this.#pending.flushInto(sink);
    if (this.#end) sink.onEnd(this.#end.end, this.#end.message);
  }

  onVideo(frame: CodedVideo): void {
    if (this.#end || this.video === null) return;
    (this.#sink ?? this.#pending).onVideo(frame);
  }

  onAudio(packet: CodedAudio): void {
    if (this.#end || this.audio === null) return;
    (this.#sink ?? this.#pending).onAudio(packet);
  }

  onLoss(): void {
    if (!this.#end) (this.#sink ?? this.#pending).onLoss();
  }

  /** Tells the sink, once; nothing comes after. */
  end(end: SourceEnd, message: string): void {
    if (this.#end) return;
    this.#end = { end, message };
    this.#sink?.onEnd(end, message);
  }

  /** RTMP has no way to ask. */
  requestKeyframe(): void {}

  timelineMs(kind: 'video' | 'audio', pts: number): number {
    return pts / (kind === 'video' ? 90 : 48);
  }

  counters(): SourceCounters {
    return this.#counters();
  }

  close(): Promise<void> {
    this.end('requested', 'closed');
    return this.#disconnect();
  }
}
