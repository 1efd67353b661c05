import { Decoder, Demuxer, FFmpegError, Frame, SoftwareScaleContext } from 'node-av';
import { AV_PIX_FMT_GRAY8, type AVPixelFormat, SWS_BILINEAR } from 'node-av/constants';

/**
 * Decodes the first video track of a file to grey (full range) pictures of `width` x `height`, one at a time.
 * Yields the same memory again and again: a picture is valid until the next one is asked for.
 * @throws Error where the file has no video track; FFmpegError where it cannot be read
 */
export async function* readLuma(file: string, width: number, height: number): AsyncGenerator<Uint8Array, void, void> {
  await using demuxer = await Demuxer.open(file);
  const stream = demuxer.video();
  if (!stream) throw new Error(`${file} has no video track`);
  using decoder = await Decoder.create(stream);
  using scaler = new GreyScaler(width, height);
  for await (const decoded of decoder.frames(demuxer.packets(stream.index))) {
    if (!decoded) continue;
    using frame = decoded;
    yield await scaler.scale(frame);
  }
}

/** Turns frames of any size and format into one reused grey picture of a fixed size. */
export class GreyScaler implements Disposable {
  readonly #width: number;
  readonly #height: number;
  readonly #grey = new Frame();
  readonly #picture: Uint8Array;
  #scaler: SoftwareScaleContext | null = null;
  #from = '';

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#grey.alloc();
    Object.assign(this.#grey, { width, height, format: AV_PIX_FMT_GRAY8 });
    FFmpegError.throwIfError(this.#grey.getBuffer(), 'allocate a grey picture');
    this.#picture = new Uint8Array(width * height);
  }

  async scale(frame: Frame): Promise<Uint8Array> {
    const from = `${frame.width}x${frame.height}/${frame.format}`;
    if (!this.#scaler || from !== this.#from) this.#configure(frame, from);
    FFmpegError.throwIfError(await this.#scaler!.scaleFrame(this.#grey, frame), 'scale a frame');
    const rows = this.#grey.data![0]!;
    const stride = this.#grey.linesize[0]!;
    for (let y = 0; y < this.#height; y++) {
      this.#picture.set(rows.subarray(y * stride, y * stride + this.#width), y * this.#width);
    }
    return this.#picture;
  }

  #configure(frame: Frame, from: string): void {
    this.#scaler?.freeContext();
    this.#scaler = new SoftwareScaleContext();
    this.#from = from;
    this.#scaler.getContext(
      frame.width,
      frame.height,
      frame.format as AVPixelFormat,
      this.#width,
      this.#height,
      AV_PIX_FMT_GRAY8,
      SWS_BILINEAR,
    );
  }

  [Symbol.dispose](): void {
    this.#scaler?.freeContext();
    this.#grey.free();
  }
}
