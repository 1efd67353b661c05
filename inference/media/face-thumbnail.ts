import {
  AV_FRAME_DATA_DISPLAYMATRIX,
  AV_FRAME_DATA_EXIF,
  AV_FRAME_DATA_ICC_PROFILE,
  AV_PIX_FMT_YUVJ420P,
  Codec,
  CodecContext,
  FF_ENCODER_MJPEG,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { InferenceError } from '../errors.ts';
import { openCodec } from '../live/open-codec.ts';
import { type Box, grow } from '../track/box.ts';

/** What a decoder gives along with a picture and the encoder would write: where it was taken, by whom, with what. */
const METADATA = [AV_FRAME_DATA_EXIF, AV_FRAME_DATA_ICC_PROFILE, AV_FRAME_DATA_DISPLAYMATRIX] as const;
/** How much of what surrounds the face is shown. */
const AROUND = 1.5;
/** FFmpeg's scale for JPEG, 2 (best) to 31. */
const QUALITY = '4';

/**
 * Cuts one face and a little around it out of a picture, which it borrows.
 * @param picture its sides even, its time base set
 * @param maxSide of what comes of it, pixels
 * @returns a JPEG without metadata
 * @throws InferenceError 'encode-failed'
 */
export function faceThumbnail(picture: Frame, face: Box, maxSide = 160): Uint8Array {
  const { x, y, w, h } = evenPart(grow(face, AROUND), picture);
  const scale = Math.min(1, maxSide / Math.max(w, h));
  const [width, height] = [even(w * scale), even(h * scale)];
  using filter = FilterAPI.create(
    `crop=${w}:${h}:${x}:${y},scale=${width}:${height}:out_range=full,format=yuvj420p`,
    {},
  );
  filter.processSync(picture);
  const small = filter.receiveSync();
  if (!(small instanceof Frame)) throw new InferenceError('encode-failed', 'a face can not be cut out');
  try {
    for (const type of METADATA) small.removeSideData(type);
    return encodeJpeg(small);
  } finally {
    small.free();
  }
}

/** What of a box lies in the picture, no less than 2 pixels a side. */
function evenPart({ x, y, w, h }: Box, { width, height }: Frame): Box {
  const left = Math.min(width - 2, even(x));
  const top = Math.min(height - 2, even(y));
  const right = Math.max(left + 2, Math.min(width, x + w));
  const bottom = Math.max(top + 2, Math.min(height, y + h));
  return { x: left, y: top, w: even(right - left), h: even(bottom - top) };
}

function even(value: number): number {
  return Math.max(0, 2 * Math.floor(value / 2));
}

function encodeJpeg(picture: Frame): Uint8Array {
  const codec = Codec.findEncoderByName(FF_ENCODER_MJPEG);
  if (!codec) throw new InferenceError('encode-failed', 'this FFmpeg writes no JPEG');
  const context = new CodecContext();
  context.allocContext3(codec);
  const packet = new Packet();
  packet.alloc();
  try {
    context.width = picture.width;
    context.height = picture.height;
    context.pixelFormat = AV_PIX_FMT_YUVJ420P;
    context.timeBase = new Rational(1, 1);
    context.threadCount = 1;
    // `bitexact` leaves FFmpeg's own name out.
    openCodec(context, codec, { qmin: QUALITY, qmax: QUALITY, flags: '+bitexact' }, 'encode-failed');
    picture.pts = 0n;
    let result = context.sendFrameSync(picture);
    if (result >= 0) result = context.sendFrameSync(null);
    if (result >= 0) result = context.receivePacketSync(packet);
    const { data } = packet;
    if (result < 0 || !data) {
      throw new InferenceError('encode-failed', `a face can not be written as JPEG (${FFmpegError.strerror(result)})`);
    }
    return Uint8Array.from(data);
  } finally {
    packet.free();
    context.freeContext();
  }
}
