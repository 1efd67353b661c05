import {
  AV_FRAME_FLAG_INTERLACED,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUVJ420P,
  AVCOL_PRI_BT709,
  AVCOL_PRI_UNSPECIFIED,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  AVCOL_SPC_UNSPECIFIED,
  AVCOL_TRC_ARIB_STD_B67,
  AVCOL_TRC_BT709,
  AVCOL_TRC_SMPTE2084,
  AVCOL_TRC_UNSPECIFIED,
  type AVPixelFormat,
  avGetPixFmtName,
  FilterAPI,
  Frame,
} from 'node-av';
import { asInferenceError, InferenceError } from '../errors.ts';

/** What had to be changed in the pictures besides their size and place. */
export type Adaptation = 'deinterlaced' | 'tone-mapped';

/** A decoded picture, and whether the decoder met damage in it. */
export interface DecodedPicture {
  readonly picture: Frame;
  readonly broken: boolean;
}

/** One picture a frame, made of both fields: a face is where it is in one moment, and is covered there. */
const DEINTERLACE = 'bwdif=mode=send_frame:parity=auto:deint=interlaced';
const EVEN_SIDES = 'crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0';
/** What a screen of usual brightness shows as white. Nits. */
const REFERENCE_WHITE = 100;
const RGB = /^(pal8|[ax0]?(rgb|bgr)|x2(rgb|bgr)|gbr)/;

/** What of a picture decides how it is converted. */
interface Shape {
  readonly key: string;
  /** FFmpeg's filters; none where the picture fits as it is. */
  readonly filters: readonly string[];
  readonly isRgb: boolean;
}

interface Chain {
  readonly shape: Shape;
  readonly filter: FilterAPI;
  /** The pictures that went in and are not out yet. */
  readonly inside: { pts: bigint; duration: bigint; broken: boolean }[];
  /** Whether the picture before the next one to come out was damaged: fields are made up from neighbours. */
  wasBroken: boolean;
}

/**
 * Turns decoded pictures into what the engine works on: upright I420 of even sides, 8 bit, progressive, all of the size
 * of the first. Range, matrix and tags stay, but for RGB, which becomes BT.709 of limited range, and for HDR (PQ, HLG),
 * which is mapped to BT.709: in 8 bits its steps would show.
 */
export class PictureConverter {
  readonly #turn: readonly string[];
  readonly #adaptations = new Set<Adaptation>();
  #size: { width: number; height: number } | undefined;
  #isInterlaced = false;
  #chain: Chain | undefined;

  /** @param turn filters that turn a picture upright */
  constructor(turn: readonly string[]) {
    this.#turn = turn;
  }

  get adaptations(): ReadonlySet<Adaptation> {
    return this.#adaptations;
  }

  /**
   * Takes a picture over, its time base set.
   * @returns those that are ready, in order, each the caller's to free; a deinterlaced one comes a call late
   * @throws InferenceError 'decode-failed'
   */
  async convert({ picture, broken }: DecodedPicture): Promise<DecodedPicture[]> {
    const shape = this.#shapeOf(picture);
    const ready = this.#chain && this.#chain.shape.key !== shape.key ? await this.flush() : [];
    if (shape.filters.length === 0) {
      this.#size ??= { width: picture.width, height: picture.height };
      return [...ready, { picture, broken }];
    }
    const { pts, duration } = picture;
    try {
      this.#chain ??= { shape, filter: FilterAPI.create(shape.filters.join(','), {}), inside: [], wasBroken: false };
      this.#chain.inside.push({ pts, duration, broken });
      await this.#chain.filter.process(picture);
      await this.#receive(this.#chain, ready);
      return ready;
    } catch (error) {
      for (const { picture: done } of ready) done.free();
      throw asInferenceError(error, 'decode-failed', 'a picture could not be converted');
    } finally {
      picture.free();
    }
  }

  /** Gives back what is still inside; more may follow. */
  async flush(): Promise<DecodedPicture[]> {
    const ready: DecodedPicture[] = [];
    const chain = this.#chain;
    if (!chain) return ready;
    await chain.filter.flush();
    await this.#receive(chain, ready);
    this.close();
    return ready;
  }

  close(): void {
    this.#chain?.filter.close();
    this.#chain = undefined;
  }

  async #receive(chain: Chain, into: DecodedPicture[]): Promise<void> {
    const { filter, inside, shape } = chain;
    for (;;) {
      const picture = await filter.receive();
      if (!(picture instanceof Frame)) return;
      const origin = inside.shift();
      if (!origin) {
        picture.free();
        throw new InferenceError('decode-failed', 'a picture too many came out of its conversion');
      }
      picture.pts = origin.pts;
      picture.duration = origin.duration;
      if (shape.isRgb) tagAsBt709(picture);
      this.#size ??= { width: picture.width, height: picture.height };
      const broken = origin.broken || (this.#isInterlaced && (chain.wasBroken || inside[0]?.broken === true));
      chain.wasBroken = origin.broken;
      into.push({ picture, broken });
    }
  }

  #shapeOf(picture: Frame): Shape {
    const { width, height, format, colorRange, colorSpace, colorTrc } = picture;
    // Once there were fields there will be more, and the chain lets whole pictures pass.
    this.#isInterlaced ||= picture.hasFlags(AV_FRAME_FLAG_INTERLACED);
    const key = [width, height, format, colorRange, colorSpace, colorTrc, this.#isInterlaced].join();
    if (this.#chain?.shape.key === key) return this.#chain.shape;
    if (width < 2 || height < 2) throw new InferenceError('decode-failed', `a picture of ${width}×${height} pixels`);
    const filters: string[] = [];
    if (this.#isInterlaced) {
      filters.push(DEINTERLACE);
      this.#adaptations.add('deinterlaced');
    }
    if (width % 2 !== 0 || height % 2 !== 0) filters.push(EVEN_SIDES);
    filters.push(...this.#turn);
    const isRgb = isRgbFormat(format as AVPixelFormat);
    if (colorTrc === AVCOL_TRC_SMPTE2084 || colorTrc === AVCOL_TRC_ARIB_STD_B67) {
      filters.push(...toneMapping(picture, isRgb));
      this.#adaptations.add('tone-mapped');
    } else if (isRgb) filters.push('scale=out_color_matrix=bt709:out_range=tv', 'format=yuv420p');
    else if (format !== AV_PIX_FMT_YUV420P && format !== AV_PIX_FMT_YUVJ420P) filters.push('format=yuv420p');
    if (this.#size && !this.#keepsSize(width, height)) filters.push(`scale=${this.#size.width}:${this.#size.height}`);
    return { key, filters, isRgb };
  }

  #keepsSize(width: number, height: number): boolean {
    const isTurned = this.#turn.some((filter) => filter.startsWith('transpose'));
    const [w, h] = isTurned ? [height, width] : [width, height];
    return (w & ~1) === this.#size?.width && (h & ~1) === this.#size.height;
  }
}

function isRgbFormat(format: AVPixelFormat): boolean {
  return RGB.test(avGetPixFmtName(format) ?? '');
}

/** Linear light of fewer colours, less brightness, and back. What the file does not say is as HDR always is. */
function toneMapping({ colorSpace, colorPrimaries }: Frame, isRgb: boolean): string[] {
  const matrix = colorSpace === AVCOL_SPC_UNSPECIFIED && !isRgb ? 'min=bt2020nc:' : '';
  const primaries = colorPrimaries === AVCOL_PRI_UNSPECIFIED ? 'pin=bt2020:' : '';
  return [
    `zscale=${matrix}${primaries}t=linear:p=bt709:m=gbr:npl=${REFERENCE_WHITE}`,
    'format=gbrpf32le',
    'tonemap=hable:desat=0',
    'zscale=p=bt709:t=bt709:m=bt709:r=tv',
    'format=yuv420p',
  ];
}

function tagAsBt709(picture: Frame): void {
  picture.colorSpace = AVCOL_SPC_BT709;
  picture.colorRange = AVCOL_RANGE_MPEG;
  if (picture.colorPrimaries === AVCOL_PRI_UNSPECIFIED) picture.colorPrimaries = AVCOL_PRI_BT709;
  if (picture.colorTrc === AVCOL_TRC_UNSPECIFIED) picture.colorTrc = AVCOL_TRC_BT709;
}
