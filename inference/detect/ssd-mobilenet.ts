import type { Frame } from 'node-av';
import { InferenceError } from '../errors.ts';
import type { Detection } from '../track/box.ts';
import type { Detector } from './detector.ts';
import { fitSquare, Letterbox } from './letterbox.ts';
import { suppress } from './nms.ts';
import { ModelSession } from './session.ts';

const SIDE = 512;
const MAX_IOU = 0.5;

/** face-api's SSD on MobileNetV1, input 512×512: the detector that is always there. */
export class SsdMobilenetDetector implements Detector {
  readonly name: string;
  readonly #session: ModelSession;
  #letterbox: { key: string; box: Letterbox } | undefined;
  #closed = false;

  private constructor(name: string, session: ModelSession) {
    this.name = name;
    this.#session = session;
  }

  /** @throws InferenceError 'model-unusable' when the graph does not load */
  static async create(name: string, model: Uint8Array, threads: number): Promise<SsdMobilenetDetector> {
    return new SsdMobilenetDetector(name, await ModelSession.open(name, model, threads));
  }

  async detect(picture: Frame, _inputPx: number, minScore: number): Promise<Detection[]> {
    if (this.#closed) throw new InferenceError('closed', 'the detector is closed');
    const letterbox = this.#letterboxFor(picture);
    letterbox.fill(picture);
    const outputs = await this.#session.run(letterbox.tensor, [1, 3, SIDE, SIDE], ['scores', 'boxes']);
    const scores = outputs.scores!;
    const boxes = outputs.boxes!;
    const toX = (SIDE * picture.width) / letterbox.size.contentWidth;
    const toY = (SIDE * picture.height) / letterbox.size.contentHeight;
    const found: Detection[] = [];
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i]!;
      if (score < minScore) continue;
      if (
        !(score <= 1.01) ||
        !Number.isFinite(boxes[i * 4]! + boxes[i * 4 + 1]! + boxes[i * 4 + 2]! + boxes[i * 4 + 3]!)
      )
        throw new InferenceError('run-failed', `${this.name} gave a result that is no number`);
      const x = boxes[i * 4]! * toX;
      const y = boxes[i * 4 + 1]! * toY;
      found.push({ x, y, w: boxes[i * 4 + 2]! * toX - x, h: boxes[i * 4 + 3]! * toY - y, score: Math.min(1, score) });
    }
    return suppress(found, MAX_IOU);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#letterbox?.box.close();
    await this.#session.close();
  }

  #letterboxFor(picture: Frame): Letterbox {
    const key = `${picture.width}x${picture.height}:${picture.format}`;
    if (this.#letterbox?.key !== key) {
      this.#letterbox?.box.close();
      this.#letterbox = { key, box: new Letterbox(picture, fitSquare(picture.width, picture.height, SIDE), 'RGB') };
    }
    return this.#letterbox!.box;
  }
}
