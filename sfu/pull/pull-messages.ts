import type { AudioFormat, CodedAudio, CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';

/** The one thing that a pulling process is told. */
export interface PullOrder {
  readonly url: string;
  /** `rtsp` or `flv`. */
  readonly format: string;
  /** FFmpeg's. */
  readonly options: Readonly<Record<string, string>>;
}

/** What a pulling process tells. */
export type PullMessage =
  | {
      readonly type: 'opened';
      readonly video: VideoCodec | null;
      readonly audio: AudioFormat | null;
      /** What is there but can not be taken, for people. */
      readonly leftOut: readonly string[];
    }
  | { readonly type: 'video'; readonly frame: CodedVideo }
  | { readonly type: 'audio'; readonly packet: CodedAudio }
  /** A picture could not be read. */
  | { readonly type: 'loss' }
  /** The last: the source ended by itself, or could not be opened or read. */
  | { readonly type: 'ended'; readonly message: string };
