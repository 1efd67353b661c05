import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import type { MediaSource } from '../media-source.ts';
import type { RedactedOutput } from './redacted-output.ts';

/** What leaves a stream for as long as one publisher sends, in one codec. */
export interface RedactedPublish {
  readonly codec: VideoCodec;
  /** The next picture, or nearly the next, is a keyframe. */
  requestKeyframe(): void;
}

/**
 * Takes what leaves a stream, publish after publish: a recorder. Called on the thread that moves packets: it must neither
 * throw nor wait. Times are in ms, on one line for picture and sound, which begins anew with each publish.
 */
export interface RedactedSink {
  onBegin(publish: RedactedPublish): void;
  /** @param frame borrowed */
  onVideo(frame: Redacted<CodedVideo>, timeMs: number): void;
  /** @param packet Opus; borrowed */
  onAudio(packet: CodedAudio, timeMs: number): void;
  onEnd(): void;
}

export interface SinkFeed {
  readonly output: RedactedOutput;
  readonly source: Pick<MediaSource, 'timelineMs'>;
  readonly requestKeyframe: () => void;
}

/** The sinks of one stream: they outlast its publishes, and can come and go in the middle of one. */
export class RedactedSinks {
  readonly #sinks = new Set<RedactedSink>();
  #publish: RedactedPublish | null = null;
  #untap: (() => void) | null = null;

  /** @returns its removal, which tells it no end */
  add(sink: RedactedSink): () => void {
    this.#sinks.add(sink);
    if (this.#publish) sink.onBegin(this.#publish);
    return () => this.#sinks.delete(sink);
  }

  /** What comes of a publish goes to this output from here on. */
  begin({ output, source, requestKeyframe }: SinkFeed): void {
    const publish = { codec: output.codec, requestKeyframe };
    this.#publish = publish;
    for (const sink of this.#sinks) sink.onBegin(publish);
    this.#untap = output.addTap({
      onVideo: (frame) => {
        const timeMs = source.timelineMs('video', frame.pts);
        for (const sink of this.#sinks) sink.onVideo(frame, timeMs);
      },
      onAudio: (packet) => {
        const timeMs = source.timelineMs('audio', packet.pts);
        for (const sink of this.#sinks) sink.onAudio(packet, timeMs);
      },
    });
  }

  end(): void {
    this.#untap?.();
    this.#untap = null;
    if (this.#publish) for (const sink of this.#sinks) sink.onEnd();
    this.#publish = null;
  }
}
