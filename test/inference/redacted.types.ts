import type { Redacted } from '../../inference/blur/redacted.ts';
import type { FrameSink } from '../../inference/frame-sink.ts';
import type { LiveEncoder } from '../../inference/live/live-encoder.ts';
import type { VideoEncoder } from '../../inference/media/video-encoder.ts';
import type { VideoFrame } from '../../inference/media/video-frame.ts';
import type { RedactedPicture } from '../../inference/pipeline.ts';

declare const encoder: VideoEncoder;
declare const liveEncoder: LiveEncoder;
declare const sink: FrameSink;
declare const raw: VideoFrame;
declare const redacted: Redacted<VideoFrame>;

// An expected error that does not come is an error itself: this file compiles only while a raw picture can't leave.

// @ts-expect-error raw picture
void encoder.encode(raw);
// @ts-expect-error raw picture
void sink.push(raw);
// @ts-expect-error a copy of a redacted picture with other pixels in it is raw
void encoder.encode({ ...raw });
// @ts-expect-error the brand has no name by which it could be put on
void sink.push({ ...raw, redacted: true });
// @ts-expect-error raw picture
void liveEncoder.encode(raw);

const rest = { covers: [], shown: [], whole: false, inspection: 'detected' } as const;
// @ts-expect-error raw picture
export const picture: RedactedPicture = { frame: raw, ...rest };
export const fine: RedactedPicture = { frame: redacted, ...rest };

void encoder.encode(redacted);
void encoder.encode(null);
void sink.push(redacted);
void liveEncoder.encode(redacted);
