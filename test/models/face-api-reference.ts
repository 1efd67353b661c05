import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Box } from '../../inference/track/box.ts';

/** Where the face-api package is. */
export const FACE_API = dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json'));

interface TfTensor {
  dataSync(): Float32Array;
  dispose(): void;
}

/** A net of single faces. */
interface FaceNet<T> {
  readonly isLoaded: boolean;
  loadFromDisk(folder: string): Promise<void>;
  forward(input: TfTensor): Promise<T>;
}

/** What this project's tests use of the package. Its own declarations need the browser's types. */
interface FaceApi {
  tf: {
    setBackend(name: string): Promise<boolean>;
    ready(): Promise<void>;
    tensor4d(values: Float32Array, shape: [number, number, number, number]): TfTensor;
  };
  env: { setEnv(env: Record<string, unknown>): void };
  nets: {
    ssdMobilenetv1: {
      loadFromDisk(folder: string): Promise<void>;
      forward(input: TfTensor): Promise<{ boxes: TfTensor[]; scores: TfTensor[] }>;
    };
    tinyFaceDetector: {
      loadFromDisk(folder: string): Promise<void>;
      forward(input: TfTensor, inputSize: number): Promise<TfTensor>;
      locateFaces(
        input: TfTensor,
        options: { inputSize: number; scoreThreshold: number },
      ): Promise<{ score: number; box: { x: number; y: number; width: number; height: number } }[]>;
    };
    faceRecognitionNet: FaceNet<TfTensor>;
    faceLandmark68Net: FaceNet<TfTensor>;
    faceExpressionNet: FaceNet<TfTensor>;
    ageGenderNet: FaceNet<{ age: TfTensor; gender: TfTensor }>;
  };
}

/** face-api's own nets in plain JavaScript; a forward pass of the SSD takes 10 to 20 seconds. */
export class FaceApiReference {
  readonly #faceApi: FaceApi;

  private constructor(faceApi: FaceApi) {
    this.#faceApi = faceApi;
  }

  static async load(): Promise<FaceApiReference> {
    const faceApi = await importBrowserBuild();
    await faceApi.tf.setBackend('cpu');
    await faceApi.tf.ready();
    // face-api asks of any input whether it is one of these; a tensor is none.
    const Absent = class {};
    const browser = {
      Canvas: Absent,
      Image: Absent,
      ImageData: Absent,
      Video: Absent,
      CanvasRenderingContext2D: Absent,
    };
    faceApi.env.setEnv({ ...browser, readFile });
    await faceApi.nets.ssdMobilenetv1.loadFromDisk(join(FACE_API, 'model'));
    await faceApi.nets.tinyFaceDetector.loadFromDisk(join(FACE_API, 'model'));
    return new FaceApiReference(faceApi);
  }

  /**
   * @param rgb interleaved, 512 × 512, 0..255
   * @returns before NMS, `boxes` as y1, x1, y2, x2
   */
  async detect(rgb: Uint8Array): Promise<{ boxes: Float32Array; scores: Float32Array }> {
    const input = this.#faceApi.tf.tensor4d(Float32Array.from(rgb), [1, 512, 512, 3]);
    const { boxes, scores } = await this.#faceApi.nets.ssdMobilenetv1.forward(input);
    const [boxTensor] = boxes;
    const [scoreTensor] = scores;
    if (!boxTensor || !scoreTensor) throw new Error('face-api returned no boxes and scores');
    return { boxes: boxTensor.dataSync(), scores: scoreTensor.dataSync() };
  }

  /**
   * What the Tiny face detector's network gives.
   * @param rgb interleaved, square, 0..255
   * @returns [rows, columns, 25], before decoding
   */
  async tinyCells(rgb: Uint8Array, side: number): Promise<Float32Array> {
    const input = this.#faceApi.tf.tensor4d(Float32Array.from(rgb), [1, side, side, 3]);
    return (await this.#faceApi.nets.tinyFaceDetector.forward(input, side)).dataSync();
  }

  /** The Tiny face detector's faces, after its NMS, in pixels of the square. */
  async tinyFaces(rgb: Uint8Array, side: number, minScore: number): Promise<(Box & { score: number })[]> {
    const input = this.#faceApi.tf.tensor4d(Float32Array.from(rgb), [1, side, side, 3]);
    const options = { inputSize: side, scoreThreshold: minScore };
    const faces = await this.#faceApi.nets.tinyFaceDetector.locateFaces(input, options);
    return faces.map(({ score, box: { x, y, width: w, height: h } }) => ({ x, y, w, h, score }));
  }

  /** The recogniser's embedding of one square chip, interleaved RGB 0..255. */
  async embedding(rgb: Uint8Array): Promise<Float32Array> {
    return (await this.#see(this.#faceApi.nets.faceRecognitionNet, rgb)).dataSync();
  }

  /** 68 points of one square crop, x, y in 0..1. */
  async landmarks(rgb: Uint8Array): Promise<Float32Array> {
    return (await this.#see(this.#faceApi.nets.faceLandmark68Net, rgb)).dataSync();
  }

  /** Probabilities of the seven expressions. */
  async expressions(rgb: Uint8Array): Promise<Float32Array> {
    return (await this.#see(this.#faceApi.nets.faceExpressionNet, rgb)).dataSync();
  }

  /** Years; probabilities of male and female. */
  async ageAndGender(rgb: Uint8Array): Promise<{ age: Float32Array; gender: Float32Array }> {
    const { age, gender } = await this.#see(this.#faceApi.nets.ageGenderNet, rgb);
    return { age: age.dataSync(), gender: gender.dataSync() };
  }

  async #see<T>(net: FaceNet<T>, rgb: Uint8Array): Promise<T> {
    if (!net.isLoaded) await net.loadFromDisk(join(FACE_API, 'model'));
    const side = Math.sqrt(rgb.length / 3);
    return net.forward(this.#faceApi.tf.tensor4d(Float32Array.from(rgb), [1, side, side, 3]));
  }
}

/**
 * The one build that carries tfjs is the browser's. Where it finds `window.document` it leaves Node's `util` alone, which
 * its bundler replaced by an empty stub; so there is one while it loads.
 */
async function importBrowserBuild(): Promise<FaceApi> {
  const scope = globalThis as { window?: unknown };
  scope.window = { document: {} };
  try {
    return (await import(pathToFileURL(join(FACE_API, 'dist', 'face-api.esm.js')).href)) as FaceApi;
  } finally {
    delete scope.window;
  }
}
