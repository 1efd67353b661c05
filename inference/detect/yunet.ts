import type { Frame } from 'node-av';
import { InferenceError } from '../errors.ts';
import type { Detection } from '../track/box.ts';
import type { Detector } from './detector.ts';
import { fitInput, Letterbox } from './letterbox.ts';
import { suppress } from './nms.ts';
import { ModelSession } from './session.ts';

const STRIDES = [8, 16, 32] as const;
const OUTPUTS = ['cls', 'obj', 'bbox'].flatMap((name) => STRIDES.map((stride) => `${name}_${stride}`));
const GRID = 32;
const MAX_IOU = 0.45;
/** Scores go to 1, give or take rounding; more is rubbish. */
const MAX_SQUARED_SCORE = 1.01;

/** YuNet: anchor-free, one box a cell at three strides. @see YuNet, Wu et al. 2023 */
export class YunetDetector implements Detector {
  readonly name: string;
  readonly #session: ModelSession;
  readonly #letterboxes = new Map<string, Letterbox>();
  #closed = false;

  private constructor(name: string, session: ModelSession) {
    this.name = name;
    this.#session = session;
  }

  /** @throws InferenceError 'model-unusable' when the graph does not load */
  static async create(name: string, model: Uint8Array, threads: number): Promise<YunetDetector> {
    return new YunetDetector(name, await ModelSession.open(name, model, threads));
  }

  async detect(picture: Frame, inputPx: number, minScore: number): Promise<Detection[]> {
    if (this.#closed) throw new InferenceError('closed', 'the detector is closed');
    const letterbox = this.#letterboxFor(picture, inputPx);
    letterbox.fill(picture);
    const { width, height, contentWidth, contentHeight } = letterbox.size;
    const outputs = await this.#session.run(letterbox.tensor, [1, 3, height, width], OUTPUTS);
    const toX = picture.width / contentWidth;
    const toY = picture.height / contentHeight;
    const found: Detection[] = [];
    const floor = minScore * minScore;
    for (const stride of STRIDES) {
      const cls = outputs[`cls_${stride}`]!;
      const obj = outputs[`obj_${stride}`]!;
      const bbox = outputs[`bbox_${stride}`]!;
      const columns = width / stride;
      for (let i = 0; i < cls.length; i++) {
        const squared = cls[i]! * obj[i]!;
        // Written so that NaN counts as a failure, not as "no face".
        if (squared < floor) continue;
        if (!(squared <= MAX_SQUARED_SCORE)) throw noNumber(this.name);
        const w = Math.exp(bbox[i * 4 + 2]!) * stride;
        const h = Math.exp(bbox[i * 4 + 3]!) * stride;
        const x = ((i % columns) + bbox[i * 4]!) * stride - w / 2;
        const y = (Math.floor(i / columns) + bbox[i * 4 + 1]!) * stride - h / 2;
        if (!Number.isFinite(x + y + w + h)) throw noNumber(this.name);
        found.push({ x: x * toX, y: y * toY, w: w * toX, h: h * toY, score: Math.min(1, Math.sqrt(squared)) });
      }
    }
    return suppress(found, MAX_IOU);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const letterbox of this.#letterboxes.values()) letterbox.close();
    this.#letterboxes.clear();
    await this.#session.close();
  }

  #letterboxFor(picture: Frame, inputPx: number): Letterbox {
    const key = `${picture.width}x${picture.height}:${picture.format}:${inputPx}`;
    let letterbox = this.#letterboxes.get(key);
    if (!letterbox) {
      letterbox = new Letterbox(picture, fitInput(picture.width, picture.height, inputPx, GRID), 'BGR');
      this.#letterboxes.set(key, letterbox);
    }
    return letterbox;
  }
}

function noNumber(model: string): InferenceError {
  return new InferenceError('run-failed', `${model} gave a result that is no number`);
}
