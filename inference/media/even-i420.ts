import { AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG, FilterAPI, Frame } from 'node-av';
import { asInferenceError, InferenceError } from '../errors.ts';

/** A stream that shows more shapes of picture than this is not worth the memory of their converters. */
const MAX_CONVERTERS = 8;

/** Turns decoded pictures, their time base set, of whatever size and format into I420 of even sides; a row or column too many is cut off. */
export class EvenI420 {
  readonly #converters = new Map<string, FilterAPI>();

  /**
   * Takes a picture over and gives back one that is the caller's, the same where it fits already.
   * @throws InferenceError 'decode-failed'
   */
  convert(picture: Frame): Frame {
    // The same planes under an older name that tells the range as well.
    if (picture.format === AV_PIX_FMT_YUVJ420P) {
      picture.format = AV_PIX_FMT_YUV420P;
      picture.colorRange = AVCOL_RANGE_JPEG;
    }
    if (picture.format === AV_PIX_FMT_YUV420P && picture.width % 2 === 0 && picture.height % 2 === 0) return picture;
    const { pts, timeBase } = picture;
    try {
      const converter = this.#converterFor(picture);
      converter.processSync(picture);
      const converted = converter.receiveSync();
      if (!(converted instanceof Frame)) throw new InferenceError('decode-failed', 'a picture could not be converted');
      converted.pts = pts;
      converted.timeBase = timeBase;
      return converted;
    } catch (error) {
      throw asInferenceError(error, 'decode-failed', 'a picture could not be converted');
    } finally {
      picture.free();
    }
  }

  close(): void {
    for (const converter of this.#converters.values()) converter.close();
    this.#converters.clear();
  }

  #converterFor({ width, height, format }: Frame): FilterAPI {
    if (width < 2 || height < 2) throw new InferenceError('decode-failed', `a picture of ${width}×${height} pixels`);
    const key = `${width}x${height}:${format}`;
    const known = this.#converters.get(key);
    if (known) return known;
    if (this.#converters.size >= MAX_CONVERTERS) this.close();
    const chain = ['crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0'];
    if (format !== AV_PIX_FMT_YUV420P) chain.unshift('format=yuv420p');
    const converter = FilterAPI.create(chain.join(','), {});
    this.#converters.set(key, converter);
    return converter;
  }
}
