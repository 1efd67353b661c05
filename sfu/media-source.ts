import type { AudioFormat, CodedAudio, CodedVideo, VideoCodec } from '../inference/live/coded-media.ts';

/** Why a source ended. */
export type SourceEnd = 'requested' | 'publisher-left' | 'connection-lost' | 'failed';

/** Where a source's media goes. Frames come in decode order; each is the sink's own from then on. */
export interface MediaSink {
  onVideo(frame: CodedVideo): void;
  onAudio(packet: CodedAudio): void;
  /** Packets were lost for good: what follows does not decode until the next keyframe. */
  onLoss(): void;
  /** It ended, by itself or by `close`. Called once, and last. */
  onEnd(end: SourceEnd, message: string): void;
}

export interface SourceCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly packetsLost: number;
}

/** What publishes into a stream, its packets already put together again: WebRTC, RTMP or a pulled URL. */
export interface MediaSource {
  readonly kind: 'webrtc' | 'rtmp' | 'pull';
  /** Null where it brings no picture. */
  readonly video: VideoCodec | null;
  readonly audio: AudioFormat | null;
  /** Whether `requestKeyframe` has an effect. RTMP and pulled sources send keyframes when they like. */
  readonly canRequestKeyframe: boolean;
  /** Lets media flow. Called once. */
  start(sink: MediaSink): void;
  requestKeyframe(): void;
  /** Where a picture's or packet's `pts` lies on one timeline that video and audio share, in ms; for lip-sync. */
  timelineMs(kind: 'video' | 'audio', pts: number): number;
  counters(): SourceCounters;
  close(): Promise<void>;
}
