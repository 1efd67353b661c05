import { AV_PIX_FMT_YUVJ420P, type Frame } from 'node-av';
import { expect, test } from 'vitest';
import { chipLandmarks } from '../../../inference/recognise/chip-geometry.ts';
import { FaceEmbedder } from '../../../inference/recognise/face-embedder.ts';
import { apply, type SimilarityTransform } from '../../../inference/recognise/similarity-transform.ts';
import type { Detection, Landmarks } from '../../../inference/track/box.ts';
import type { ChipInput, ModelEntry } from '../../../models/manifest.ts';
import { i420Picture, type Yuv } from './i420-picture.ts';
import {
  CELL,
  INPUT,
  OUTPUT,
  type RecogniserSignature,
  recogniserEntry,
  recogniserGraph,
  type Twist,
} from './recogniser-graph.ts';

const PICTURE = { width: 640, height: 480 };
/** The face of the picture: turned and larger than any chip, so that alignment has work to do. */
const FROM_CHIP: SimilarityTransform = { a: 1.6, b: 0.5, tx: 180, ty: 60 };
/** A disc so wide on the chip that it fills the cell in which a landmark lies more than any other. */
const DISC_PX = CELL * 0.9;
/** Red and blue of full range. */
const RED: Yuv = [76, 85, 255];
const BLUE: Yuv = [29, 255, 107];
const BLACK: Yuv = [0, 128, 128];

const plain: Omit<ChipInput, 'tensor' | 'size'> = { mean: [0, 0, 0], scale: 1, layout: 'NCHW', channels: 'RGB' };
const SIGNATURES: [string, RecogniserSignature][] = [
  [
    'dlib’s ResNet as face-api has it',
    {
      family: 'dlib',
      input: { ...plain, mean: [122.782, 117.001, 104.298], scale: 1 / 255, size: { width: 150, height: 150 } },
      dimension: 360,
    },
  ],
  [
    'ArcFace of InsightFace, RGB',
    {
      family: 'arcface',
      input: { ...plain, mean: [127.5, 127.5, 127.5], scale: 1 / 127.5, size: { width: 112, height: 112 } },
      dimension: 512,
    },
  ],
  [
    'ArcFace, BGR, bare pixels',
    { family: 'arcface', input: { ...plain, channels: 'BGR', size: { width: 112, height: 112 } }, dimension: 512 },
  ],
  ['SFace', { family: 'sface', input: { ...plain, size: { width: 112, height: 112 } }, dimension: 256 }],
  [
    'FaceNet of PyTorch',
    {
      family: 'facenet',
      input: { ...plain, mean: [127.5, 127.5, 127.5], scale: 1 / 128, size: { width: 160, height: 160 } },
      dimension: 512,
    },
  ],
  [
    'FaceNet of Keras, NHWC',
    {
      family: 'facenet',
      input: {
        ...plain,
        layout: 'NHWC',
        mean: [127.5, 127.5, 127.5],
        scale: 1 / 128,
        size: { width: 160, height: 160 },
      },
      dimension: 512,
    },
  ],
  [
    'a chip of its own geometry',
    {
      family: 'arcface',
      input: { ...plain, size: { width: 96, height: 112 } },
      dimension: 256,
      chip: [
        [30, 52],
        [66, 52],
        [48, 70],
        [34, 90],
        [62, 90],
      ],
    },
  ],
];

async function use<T>(
  signature: RecogniserSignature,
  twist: Twist,
  work: (embedder: FaceEmbedder, entry: ModelEntry<'recogniser'>) => Promise<T>,
): Promise<T> {
  const model = recogniserGraph(signature, twist);
  const entry = recogniserEntry(signature, model);
  const embedder = await FaceEmbedder.open(entry, model, 1);
  try {
    return await work(embedder, entry);
  } finally {
    await embedder.close();
  }
}

/** A face whose landmarks lie where the chip's would, and where one of them is a bright disc of the plane that is first. */
function planted(entry: ModelEntry<'recogniser'>, landmark: number): { picture: Frame; face: Detection } {
  const landmarks = chipLandmarks(entry).map((point) => apply(FROM_CHIP, point)) as unknown as Landmarks;
  const [x, y] = landmarks[landmark]!;
  const radius = (DISC_PX / 2) * Math.hypot(FROM_CHIP.a, FROM_CHIP.b);
  const colour = entry.input.channels === 'RGB' ? RED : BLUE;
  const picture = i420Picture(
    PICTURE.width,
    PICTURE.height,
    (px, py) => (Math.hypot(px - x, py - y) <= radius ? colour : BLACK),
    AV_PIX_FMT_YUVJ420P,
  );
  return { picture, face: { x: 200, y: 100, w: 200, h: 240, score: 0.9, landmarks } };
}

async function embedPlanted(embedder: FaceEmbedder, entry: ModelEntry<'recogniser'>, landmark: number) {
  const { picture, face } = planted(entry, landmark);
  try {
    return await embedder.embed(embedder.look(picture, face)!.chip);
  } finally {
    picture.free();
  }
}

test.each(SIGNATURES)('%s: each landmark lands where its chip has it', async (_, signature) => {
  await use(signature, {}, async (embedder, entry) => {
    expect(embedder).toMatchObject({ name: entry.name, dimension: signature.dimension });
    expect(embedder.thresholds).toEqual({ accept: 0.4, track: 0.4, reject: 0.2 });
    const columns = Math.floor(entry.input.size.width / CELL);
    for (const [i, [x, y]] of chipLandmarks(entry).entries()) {
      const embedding = await embedPlanted(embedder, entry, i);
      expect(embedding).toHaveLength(signature.dimension);
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
      // A disc spreads over the cells next to its own: their middle of mass is where the landmark is.
      let [sum, across, down] = [0, 0, 0];
      for (const [cell, bright] of embedding.entries()) {
        sum += bright;
        across += bright * (((cell % columns) + 0.5) * CELL - 0.5);
        down += bright * ((Math.floor(cell / columns) + 0.5) * CELL - 0.5);
      }
      expect(Math.hypot(across / sum - x, down / sum - y), `landmark ${i}`).toBeLessThan(CELL / 3);
    }
  });
});

test.each(SIGNATURES)('%s: an embedding of another length is refused when it is opened', async (_, signature) => {
  const other = signature.dimension / 2;
  const message = `${OUTPUT} is [batch, ${other}]; its entry says [1, ${signature.dimension}]`;
  const refused = { code: 'model-unusable', message: expect.stringContaining(message) };
  await expect(use(signature, { dimension: other }, async () => undefined)).rejects.toMatchObject(refused);
});

const [, ARCFACE] = SIGNATURES[1]!;

test('a graph that gives no number, or no direction, is refused by name', async () => {
  for (const factor of [Number.NaN, 0]) {
    const opened = use(ARCFACE, { factor }, async (embedder, entry) => embedPlanted(embedder, entry, 0));
    const error = await opened.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ message: expect.stringMatching(/^(model )?my-arcface [^\n]+$/) });
  }
});

test('NaN for one face is a failure, and the next face is seen', async () => {
  await use(ARCFACE, { onBright: Number.NaN }, async (embedder, entry) => {
    const { picture, face } = planted(entry, 0);
    const { chip } = embedder.look(picture, face)!;
    picture.free();
    const bright = { ...chip, rgb: chip.rgb.map(() => 255) };
    const refused = { code: 'run-failed', message: 'my-arcface gave a result that is no number' };
    await expect(embedder.embed(bright)).rejects.toMatchObject(refused);
    const grey = { ...chip, rgb: chip.rgb.map((_, i) => (i % 7) * 20) };
    expect(Math.hypot(...(await embedder.embed(grey)))).toBeCloseTo(1, 5);
  });
});

test('two faces at a time are refused, so that they can not mix', async () => {
  await use(ARCFACE, {}, async (embedder, entry) => {
    const { picture, face } = planted(entry, 2);
    const { chip } = embedder.look(picture, face)!;
    picture.free();
    const first = embedder.embed(chip);
    await expect(embedder.embed(chip)).rejects.toMatchObject({ code: 'run-failed' });
    const embedding = await first;
    expect([...(await embedder.embed(chip))]).toEqual([...embedding]);
  });
});

test('after closing nothing is embedded', async () => {
  const model = recogniserGraph(ARCFACE);
  const entry = recogniserEntry(ARCFACE, model);
  const embedder = await FaceEmbedder.open(entry, model, 1);
  const { picture, face } = planted(entry, 2);
  const { chip } = embedder.look(picture, face)!;
  picture.free();
  await embedder.close();
  await expect(embedder.embed(chip)).rejects.toMatchObject({ code: 'closed' });
});

test('a face without landmarks, or with such as are none, has no look', async () => {
  await use(ARCFACE, {}, async (embedder, entry) => {
    const { picture, face } = planted(entry, 0);
    const { landmarks: _, ...bare } = face;
    expect(embedder.look(picture, bare)).toBeNull();
    const [point] = face.landmarks!;
    expect(embedder.look(picture, { ...face, landmarks: [point, point, point, point, point] })).toBeNull();
    picture.free();
  });
});

test.each([
  ['an input of another name', { tensor: 'data' }, {}, `there is no input data; the graph has ${INPUT}`],
  ['an output of another name', {}, { embedding: '683' }, `there is no output 683; the graph has ${OUTPUT}`],
  [
    'another size',
    { size: { width: 160, height: 160 } },
    {},
    'chip is [1, 3, 112, 112]; its entry says [1, 3, 160, 160]',
  ],
  ['another layout', { layout: 'NHWC' }, {}, 'chip is [1, 3, 112, 112]; its entry says [1, 112, 112, 3]'],
])('an entry with %s is refused in one line, at once', async (_, input, outputs, message) => {
  const model = recogniserGraph(ARCFACE);
  const entry = recogniserEntry(ARCFACE, model);
  const twisted = { ...entry, input: { ...entry.input, ...input }, outputs: { ...entry.outputs, ...outputs } };
  const refused = FaceEmbedder.open(twisted as typeof entry, model, 1);
  await expect(refused).rejects.toMatchObject({ code: 'model-unusable', message: `model my-arcface: ${message}` });
});

test('a file that is no model, or cut short, is refused by name', async () => {
  const model = recogniserGraph(ARCFACE);
  const entry = recogniserEntry(ARCFACE, model);
  for (const bytes of [Buffer.from('<html>not found</html>'), new Uint8Array(0), model.subarray(0, 500)]) {
    const named = { code: 'model-unusable', message: expect.stringMatching(/^model my-arcface[^\n]+$/) };
    await expect(FaceEmbedder.open(entry, bytes, 1)).rejects.toMatchObject(named);
  }
});
