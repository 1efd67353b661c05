import { expect, test } from 'vitest';
import type { Detector } from '../../inference/detect/detector.ts';
import { openDetector } from '../../inference/detect/open-detector.ts';
import type { Detection } from '../../inference/track/box.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { plantedPicture } from './families/planted-picture.ts';
import { broughtEntry, INPUT, SignatureGraph } from './families/signature-graph.ts';
import {
  BOX,
  POINTS,
  retinaface,
  SCORE,
  type Signature,
  STRIDE,
  scrfd,
  yoloFace,
  yunet,
} from './families/signatures.ts';

/** The cell in which the bright square is planted: away from the diagonal, so that rows taken for columns show. */
const CELL = { column: 11, row: 4 };
/** The picture is twice as large as the model sees it. */
const PICTURE = { width: 640, height: 384 };
const INPUT_PX = 320;
const TO_PICTURE = PICTURE.width / INPUT_PX;
/** A pixel's value may be one off after the conversion to the model's colours, and boxes are multiples of it. */
const TOLERANCE_PX = 0.5;

const FIXED_SQUARE = { width: 320, height: 320 };

const SIGNATURES: [string, Signature][] = [
  ['SCRFD, with a batch dimension', scrfd({})],
  ['SCRFD, without a batch dimension', scrfd({ isBatched: false })],
  ['SCRFD without landmarks', scrfd({ hasLandmarks: false })],
  ['SCRFD of a fixed size', scrfd({ size: FIXED_SQUARE })],
  ['YOLOv5-face', yoloFace({ layout: 'yolov5-face' })],
  ['YOLOv8-face', yoloFace({ layout: 'yolov8-face' })],
  ['YOLOv8 trained on faces', yoloFace({ layout: 'yolov8' })],
  ['YOLOv8-face, square', yoloFace({ layout: 'yolov8-face', size: FIXED_SQUARE })],
  ['YuNet', yunet({})],
  ['YuNet of a fixed size', yunet({ size: FIXED_SQUARE })],
  ['RetinaFace', retinaface({})],
  ['RetinaFace without landmarks', retinaface({ hasLandmarks: false })],
  ['RetinaFace of a fixed size', retinaface({ size: { width: 320, height: 256 } })],
];

async function use<T>(
  { entry, model }: Pick<Signature, 'entry' | 'model'>,
  work: (d: Detector) => Promise<T>,
): Promise<T> {
  const detector = await openDetector(entry, model, 1);
  try {
    return await work(detector);
  } finally {
    await detector.close();
  }
}

/** What the detector finds in a picture with the bright square, or without. */
async function detect(detector: Detector, { input }: ModelEntry, isPlanted = true): Promise<Detection[]> {
  const side = STRIDE * TO_PICTURE;
  const square = { x: CELL.column * side, y: CELL.row * side, w: side, h: side };
  const picture = plantedPicture(PICTURE.width, PICTURE.height, isPlanted ? square : null, input.channels);
  try {
    return await detector.detect(picture, INPUT_PX, 0.3);
  } finally {
    picture.free();
  }
}

test.each(SIGNATURES)(
  '%s: the planted square is the box that its graph means, in the picture',
  async (_, signature) => {
    await use(signature, async (detector) => {
      expect(detector.name).toBe(signature.entry.name);
      const [face, ...others] = await detect(detector, signature.entry);
      expect(others).toEqual([]);
      const unit = STRIDE * TO_PICTURE;
      const [x, y] = [CELL.column * unit, CELL.row * unit];
      expect(Math.abs(face!.score - SCORE)).toBeLessThan(0.01);
      expectNear(face!.x, x - BOX.left * unit);
      expectNear(face!.y, y - BOX.top * unit);
      expectNear(face!.w, (BOX.left + BOX.right) * unit);
      expectNear(face!.h, (BOX.top + BOX.bottom) * unit);
      expect(face!.landmarks?.length).toBe(signature.hasLandmarks ? 5 : undefined);
      for (const [i, point] of (face!.landmarks ?? []).entries()) {
        expectNear(point[0], x + POINTS[2 * i]! * unit);
        expectNear(point[1], y + POINTS[2 * i + 1]! * unit);
      }
      expect(await detect(detector, signature.entry, false)).toEqual([]);
    });
  },
);

function expectNear(value: number, expected: number): void {
  expect(Math.abs(value - expected), `${value} should be ${expected}`).toBeLessThan(TOLERANCE_PX);
}

test.each([
  ['SCRFD', scrfd],
  ['YOLO-face', yoloFace],
  ['RetinaFace', retinaface],
  ['YuNet', yunet],
])('%s: rubbish in scores, boxes or landmarks is a failure, not "no face"', async (_, make) => {
  const rubbish = [{ score: Number.NaN }, { score: 1.5 }, { box: Number.NaN }, { box: 3e38 }, { point: Number.NaN }];
  for (const twist of rubbish) {
    const broken = make({ twist });
    const failing = use(broken, (detector) => detect(detector, broken.entry));
    // A graph that gives NaN whatever it sees is found out when it is opened, the others on the picture.
    const code = expect.stringMatching(Number.isNaN(twist.score) ? /^model-unusable$/ : /^run-failed$/);
    const message = expect.stringContaining(`${broken.entry.name} gave a result that is no number`);
    await expect(failing, JSON.stringify(twist)).rejects.toMatchObject({ code, message });
  }
});

test('a detector gone wrong on one picture sees the next', async () => {
  const broken = scrfd({ twist: { point: Number.NaN } });
  await use(broken, async (detector) => {
    await expect(detect(detector, broken.entry)).rejects.toMatchObject({ code: 'run-failed' });
    expect(await detect(detector, broken.entry, false)).toEqual([]);
  });
});

/** An entry that differs from the signature's own. */
function twisted({ entry }: Signature, change: { input?: object; outputs?: object }): ModelEntry {
  return {
    ...entry,
    input: { ...entry.input, ...change.input },
    outputs: { ...entry.outputs, ...change.outputs },
  } as ModelEntry;
}

const SCRFD = scrfd({});
const SCRFD_FIXED = scrfd({ size: FIXED_SQUARE });
const YOLO = yoloFace({});
const RETINAFACE = retinaface({});

test.each([
  ['an input of another name', SCRFD, { input: { tensor: 'input.1' } }, `no input input.1; the graph takes ${INPUT}`],
  ['an output of another name', YOLO, { outputs: { tensor: 'output0' } }, 'no output output0; the graph gives output'],
  [
    'any size for a graph of a fixed one',
    SCRFD_FIXED,
    { input: { size: { multipleOf: 32 } } },
    `input ${INPUT} is [1, 3, 320, 320]; its entry says [1, 3, height, width] with any size, in multiples of 32`,
  ],
  [
    'another fixed size',
    SCRFD_FIXED,
    { input: { size: { width: 640, height: 640 } } },
    'with height 640 and width 640',
  ],
  [
    'too few anchors a cell',
    SCRFD,
    { outputs: { anchorsPerCell: 1 } },
    'output scores_8 has 192 values; an input of 96×64 needs 96 × 1.',
  ],
  ['the wrong strides', YOLO, { outputs: { strides: [16, 32, 64] } }, 'output output has'],
  ['another layout', YOLO, { outputs: { layout: 'yolov8-face' } }, 'output output has'],
  ['boxes for landmarks', RETINAFACE, { outputs: { landms: 'loc' } }, 'output loc has'],
])('an entry with %s is refused in one line, at once', async (_, signature, change, message) => {
  const refused = openDetector(twisted(signature, change), signature.model, 1);
  const error = await refused.catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'model-unusable', message: expect.stringContaining(message) });
  expect(error).toMatchObject({
    message: expect.stringMatching(new RegExp(`^model ${signature.entry.name}: [^\\n]*$`)),
  });
});

test('a file that is no model, or cut short, is refused by name', async () => {
  const { entry, model } = SCRFD;
  const named = { code: 'model-unusable', message: expect.stringMatching(/^model my-scrfd[^\n]+$/) };
  for (const bytes of [Buffer.from('<html>not found</html>'), new Uint8Array(0), model.subarray(0, 5000)]) {
    await expect(openDetector(entry, bytes, 1)).rejects.toMatchObject(named);
  }
});

test('a graph that ONNX Runtime can not run is refused by name', async () => {
  const graph = new SignatureGraph(SCRFD.entry.input);
  graph.output(graph.builder.op('NoSuchOperator', 'output', [INPUT]));
  const model = graph.finish({ multipleOf: 32 });
  const outputs = { tensor: 'output', layout: 'yolov8' as const, strides: [8, 16, 32] };
  const entry = broughtEntry('yolo-face', model, { input: { ...SCRFD.entry.input }, outputs });
  const named = { code: 'model-unusable', message: expect.stringContaining('my-yolo-face') };
  await expect(openDetector(entry, model, 1)).rejects.toMatchObject(named);
});
