import { AV_PIX_FMT_GBRP, FFmpegError, Frame, SoftwareScaleContext, SWS_AREA } from 'node-av';
import type { ModelInput } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';

/** A picture may be squeezed by this much to meet the model's grid; past it, it is padded instead. */
const MAX_SQUEEZE = 0.06;

/** The size of a model's input and the part of it (from the top left) that holds the picture. */
export interface InputSize {
  readonly width: number;
  readonly height: number;
  readonly contentWidth: number;
  readonly contentHeight: number;
}

/**
 * Fits a picture into a model's input whose sides are multiples of `grid`, the longer one about `inputPx`.
 * A smaller picture is not enlarged: that finds no more faces and far more that are none.
 */
export function fitInput(width: number, height: number, inputPx: number, grid: number): InputSize {
  const longer = Math.max(width, height);
  const scale = Math.min(inputPx / longer, 1);
  const fitSide = (side: number): [number, number] => {
    const wanted = side * scale;
    const nearest = Math.max(grid, Math.round(wanted / grid) * grid);
    if (Math.abs(nearest - wanted) / wanted <= MAX_SQUEEZE) return [nearest, nearest];
    return [Math.max(grid, Math.ceil(wanted / grid) * grid), Math.max(1, Math.round(wanted))];
  };
  const [inputWidth, contentWidth] = fitSide(width);
  const [inputHeight, contentHeight] = fitSide(height);
  return { width: inputWidth, height: inputHeight, contentWidth, contentHeight };
}

/** Fits a picture into an input of one fixed size, keeping its proportions. */
export function fitFixed(width: number, height: number, input: { width: number; height: number }): InputSize {
  const scale = Math.min(input.width / width, input.height / height);
  return {
    width: input.width,
    height: input.height,
    contentWidth: Math.max(1, Math.round(width * scale)),
    contentHeight: Math.max(1, Math.round(height * scale)),
  };
}

/** Scales pictures of one size into one tensor, which it owns and overwrites at each call. */
export class Letterbox {
  readonly size: InputSize;
  /** 1×3×height×width, planar, as the model wants it; black beside the picture. In shared memory, for the model's thread. */
  readonly tensor: Float32Array;
  readonly #scaler = new SoftwareScaleContext();
  readonly #scaled = new Frame();
  /** The planes of `#scaled`: asking FFmpeg for them anew at each frame costs more than filling them. */
  readonly #planes: readonly Uint8Array[];
  readonly #strides: readonly number[];
  /** Where in the tensor G, B and R go: the order of FFmpeg's planar RGB. */
  readonly #planeOf: readonly [number, number, number];
  /** By plane of the tensor, what each value of a pixel becomes; null where it stays what it is. */
  readonly #normalised: readonly Float32Array[] | null;

  constructor(source: Frame, size: InputSize, input: Pick<ModelInput, 'channels' | 'mean' | 'scale'>) {
    this.size = size;
    const area = size.width * size.height;
    this.tensor = new Float32Array(new SharedArrayBuffer(4 * 3 * area));
    this.#planeOf = input.channels === 'BGR' ? [1, 0, 2] : [1, 2, 0];
    const { mean, scale } = input;
    const isPlain = scale === 1 && mean.every((value) => value === 0);
    this.#normalised = isPlain
      ? null
      : mean.map((value) => Float32Array.from({ length: 256 }, (_, p) => (p - value) * scale));
    this.#normalised?.forEach((values, plane) => void this.tensor.fill(values[0]!, plane * area, (plane + 1) * area));
    this.#scaled.alloc();
    this.#scaled.width = size.contentWidth;
    this.#scaled.height = size.contentHeight;
    this.#scaled.format = AV_PIX_FMT_GBRP;
    const got = this.#scaled.getBuffer();
    if (got < 0)
      throw new InferenceError('run-failed', `no memory for the model's input (${FFmpegError.strerror(got)})`);
    this.#planes = (this.#scaled.data ?? []).slice(0, 3).map((p) => new Uint8Array(p.buffer, p.byteOffset, p.length));
    this.#strides = this.#scaled.linesize;
    this.#scaler.getContext(
      source.width,
      source.height,
      source.format as Parameters<SoftwareScaleContext['getContext']>[2],
      size.contentWidth,
      size.contentHeight,
      AV_PIX_FMT_GBRP,
      SWS_AREA,
    );
  }

  /** Fills the tensor with the picture, which it borrows. */
  fill(picture: Frame): void {
    const scaled = this.#scaler.scaleFrameSync(this.#scaled, picture);
    if (scaled < 0)
      throw new InferenceError('run-failed', `the picture can't be scaled (${FFmpegError.strerror(scaled)})`);
    const { width, height, contentWidth, contentHeight } = this.size;
    for (let p = 0; p < 3; p++) {
      const plane = this.#planes[p]!;
      const stride = this.#strides[p]!;
      const base = this.#planeOf[p]! * width * height;
      const normalised = this.#normalised?.[this.#planeOf[p]!];
      if (normalised) {
        for (let y = 0; y < contentHeight; y++) {
          const [from, to] = [y * stride, base + y * width];
          for (let x = 0; x < contentWidth; x++) this.tensor[to + x] = normalised[plane[from + x]!]!;
        }
        continue;
      }
      if (stride === width && contentWidth === width) {
        this.tensor.set(plane.subarray(0, width * contentHeight), base);
        continue;
      }
      for (let y = 0; y < contentHeight; y++) {
        this.tensor.set(plane.subarray(y * stride, y * stride + contentWidth), base + y * width);
      }
    }
  }

  close(): void {
    this.#scaler.freeContext();
    this.#scaled.free();
  }
}
