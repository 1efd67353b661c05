import {
  AV_CODEC_ID_MJPEG,
  AV_CODEC_ID_PNG,
  AV_CODEC_ID_WEBP,
  AV_FRAME_FLAG_CORRUPT,
  Codec,
  CodecContext,
  FFmpegError,
  FilterAPI,
  Frame,
  Packet,
  Rational,
} from 'node-av';
import { asInferenceError, InferenceError } from '../errors.ts';
import { openCodec } from '../live/open-codec.ts';
import { exifUprightFilters } from './exif-orientation.ts';
import { countedPixels, type ImageHeader, readImageHeader } from './image-header.ts';
import { MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS } from './image-limits.ts';

/** The decoder counts the padding of its rows as well. */
const MAX_DECODED_PIXELS = MAX_IMAGE_PIXELS + 10_000_000;

const CODECS = { jpeg: AV_CODEC_ID_MJPEG, png: AV_CODEC_ID_PNG, webp: AV_CODEC_ID_WEBP } as const;

/**
 * Decodes a still JPEG, PNG or WebP picture and turns it upright as its Exif data asks. Transparency is left out.
 * @returns a picture in whatever pixel format it had; the caller's to free
 * @throws InferenceError 'input-unreadable' | 'input-truncated' | 'input-empty' with a message that follows a file's name
 */
export function decodeImage(file: Uint8Array): Frame {
  if (file.length === 0) throw new InferenceError('input-empty', 'it is empty');
  if (file.length > MAX_IMAGE_BYTES) throw unreadable(`its ${file.length} bytes are more than ${MAX_IMAGE_BYTES}`);
  const header = readImageHeader(file);
  check(header);
  const picture = decode(file, header);
  const { width, height } = picture;
  if (width !== header.width || height !== header.height) {
    picture.free();
    throw unreadable(`it says ${header.width}×${header.height} and holds ${width}×${height}`);
  }
  return upright(picture, header.orientation);
}

function check(header: ImageHeader): void {
  const { width, height, bitsPerChannel, isAnimated, isWhole } = header;
  if (isAnimated) throw unreadable('it is animated; give one still picture');
  const pixels = countedPixels(header);
  if (pixels === 0) throw unreadable(`it says that it is ${width}×${height}`);
  if (pixels > MAX_IMAGE_PIXELS) {
    const size = `${width}×${height} at ${bitsPerChannel} bits`;
    throw unreadable(`${size} is more than ${MAX_IMAGE_PIXELS / 1e6} megapixels at 8 bits; make it smaller`);
  }
  if (!isWhole) throw new InferenceError('input-truncated', 'it is cut off');
}

function decode(file: Uint8Array, { format }: ImageHeader): Frame {
  const codec = Codec.findDecoder(CODECS[format]);
  if (!codec) throw new InferenceError('decode-failed', `this FFmpeg has no decoder for ${format}`);
  const context = new CodecContext();
  const packet = new Packet();
  const picture = new Frame();
  picture.alloc();
  try {
    context.allocContext3(codec);
    context.threadCount = 1;
    // What the header said is not what the decoder meets, if someone wants it so.
    openCodec(context, codec, { max_pixels: String(MAX_DECODED_PIXELS) }, 'decode-failed');
    packet.alloc();
    packet.data = Buffer.from(file.buffer, file.byteOffset, file.length);
    let result = context.sendPacketSync(packet);
    if (result >= 0) result = context.sendPacketSync(null);
    if (result >= 0) result = context.receiveFrameSync(picture);
    if (result < 0) throw unreadable(`it can't be decoded (${FFmpegError.strerror(result)})`);
    if (picture.hasFlags(AV_FRAME_FLAG_CORRUPT) || picture.decodeErrorFlags !== 0) throw unreadable('it is damaged');
    return picture;
  } catch (error) {
    picture.free();
    throw error;
  } finally {
    packet.free();
    context.freeContext();
  }
}

/** Takes a picture over and gives back an upright one. */
function upright(picture: Frame, orientation: number): Frame {
  const filters = exifUprightFilters(orientation);
  if (!filters) return picture;
  picture.timeBase = new Rational(1, 1);
  picture.pts = 0n;
  try {
    using filter = FilterAPI.create(filters, {});
    filter.processSync(picture);
    const turned = filter.receiveSync();
    if (turned instanceof Frame) return turned;
    throw new InferenceError('decode-failed', 'it can not be turned upright');
  } catch (error) {
    throw asInferenceError(error, 'decode-failed', 'it can not be turned upright');
  } finally {
    picture.free();
  }
}

function unreadable(reason: string): InferenceError {
  return new InferenceError('input-unreadable', reason);
}
