import { AV_PIX_FMT_GBRP, FFmpegError, Frame, SoftwareScaleContext, SWS_AREA } from 'node-av';
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

/** Fits a picture into a square input of a fixed side, keeping its proportions. */
export function fitSquare(width: number, height: number, side: number): InputSize {
  const scale = side / Math.max(width, height);
  return {
    width: side,
    height: side,
    contentWidth: Math.max(1, Math.round(width * scale)),
    contentHeight: Math.max(1, Math.round(height * scale)),
  };
}

/** Scales pictures of one size into one tensor, which it owns and overwrites at each call. */
export class Letterbox {
  readonly size: InputSize;
  /** 1×3×height×width, planar, 0..255; in shared memory, for the model's thread. */
  readonly tensor: Float32Array;
  readonly #scaler = new SoftwareScaleContext();
  readonly #scaled = new Frame();
  /** The planes of `#scaled`: asking FFmpeg for them anew at each frame costs more than filling them. */
  readonly #planes: readonly Uint8Array[];
  readonly #strides: readonly number[];
  /** Where in the tensor G, B and R go: the order of FFmpeg's planar RGB. */
  readonly #planeOf: readonly [number, number, number];

  constructor(source: Frame, size: InputSize, channels: 'BGR' | 'RGB') {
    this.size = size;
    this.tensor = new Float32Array(new SharedArrayBuffer(4 * 3 * size.width * size.height));
    this.#planeOf = channels === 'BGR' ? [1, 0, 2] : [1, 2, 0];
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
