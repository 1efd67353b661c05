import type { CodedVideo } from '../../inference/live/coded-media.ts';
import type { PayloadFormat, PayloadVerdict } from './depacketizer.ts';
import type { FramePieces } from './frame-pieces.ts';
import { parseVp8Descriptor } from './vp8-descriptor.ts';
import { parseVp8FrameHeader } from './vp8-frame-header.ts';

/** VP8 in RTP (RFC 7741): each payload is a descriptor and a slice of the frame. */
export class Vp8Payloads implements PayloadFormat {
  // §4.1: "MUST be set for the very last packet of each encoded frame".
  readonly marksEveryFrame = true;

  beginsFrame(payload: Buffer): boolean {
    return (payload[0] & 0x17) === 0x10;
  }

  add(payload: Buffer, isFirst: boolean, keyframeOnly: boolean, pieces: FramePieces): PayloadVerdict {
    const descriptor = parseVp8Descriptor(payload);
    // §4.2: S with PID 0 stands in the first packet of a frame, and in no other.
    if (descriptor === null || (descriptor.startsPartition && descriptor.partition === 0) !== isFirst) {
      return 'malformed';
    }
    const isInterframe = isFirst && (payload[descriptor.bytes] & 1) === 1;
    if (isInterframe && keyframeOnly) return 'unwanted';
    return pieces.append(payload, descriptor.bytes, payload.length) ? 'taken' : 'malformed';
  }

  finish(pts: number, _keyframeOnly: boolean, pieces: FramePieces): CodedVideo | 'malformed' {
    const data = pieces.join();
    const header = parseVp8FrameHeader(data);
    return header === null ? 'malformed' : { data, pts, isKeyframe: header.isKeyframe };
  }
}
