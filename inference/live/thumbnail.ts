import {
  AV_PIX_FMT_YUVJ420P,
  Codec,
  CodecContext,
  FF_ENCODER_MJPEG,
  FilterAPI,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { type Box, grow } from '../track/box.ts';
import { openCodec } from './open-codec.ts';

/** The longer side. Pixels. */
const MAX_SIDE = 96;
/** How much of what surrounds the face is shown. */
const AROUND = 1.3;
const MIN_SIDE = 8;
/** FFmpeg's scale for JPEG, 2 (best) to 31. */
const QUALITY = '6';

/**
 * Cuts one face out of a picture, which it borrows, as a small JPEG in a data: URL.
 * @returns null where there is too little of it to see, or it can't be coded: a picture less in a list
 */
export function thumbnailOf(picture: Frame, face: Box): string | null {
  try {
    return cutOut(picture, face);
  } catch {
    return null;
  }
}

function cutOut(picture: Frame, face: Box): string | null {
  const cut = evenPart(grow(face, AROUND), picture);
  if (!cut) return null;
  const scale = Math.min(1, MAX_SIDE / Math.max(cut.w, cut.h));
  const [width, height] = [even(cut.w * scale), even(cut.h * scale)];
  using filter = FilterAPI.create(
    `crop=${cut.w}:${cut.h}:${cut.x}:${cut.y},scale=${width}:${height}:out_range=full,format=yuvj420p`,
    {},
  );
  filter.processSync(picture);
  const small = filter.receiveSync();
  if (!(small instanceof Frame)) return null;
  try {
    const jpeg = encodeJpeg(small, width, height);
    return jpeg && `data:image/jpeg;base64,${jpeg.toString('base64')}`;
  } finally {
    small.free();
  }
}

function evenPart({ x, y, w, h }: Box, { width, height }: Frame): Box | null {
  const left = even(Math.max(0, x));
  const top = even(Math.max(0, y));
  const right = Math.min(width, x + w);
  const bottom = Math.min(height, y + h);
  if (right - left < MIN_SIDE || bottom - top < MIN_SIDE) return null;
  return { x: left, y: top, w: even(right - left), h: even(bottom - top) };
}

function even(value: number): number {
  return Math.max(0, Math.floor(value / 2) * 2);
}

function encodeJpeg(picture: Frame, width: number, height: number): Buffer | null {
  const codec = Codec.findEncoderByName(FF_ENCODER_MJPEG);
  if (!codec) return null;
  const context = new CodecContext();
  context.allocContext3(codec);
  const packet = new Packet();
  packet.alloc();
  try {
    context.width = width;
    context.height = height;
    context.pixelFormat = AV_PIX_FMT_YUVJ420P;
    context.timeBase = new Rational(1, 25);
    context.threadCount = 1;
    openCodec(context, codec, { qmin: QUALITY, qmax: QUALITY }, 'encode-failed');
    picture.pts = 0n;
    if (context.sendFrameSync(picture) < 0 || context.sendFrameSync(null) < 0) return null;
    if (context.receivePacketSync(packet) < 0 || !packet.data) return null;
    return Buffer.from(packet.data);
  } finally {
    packet.free();
    context.freeContext();
  }
}
