import type { ModelEntry } from '../../../models/manifest.ts';
import { broughtEntry, type Pixels, SignatureGraph } from './signature-graph.ts';

/** Where the bright square lies: a cell of the level with this stride. */
export const STRIDE = 16;
/** A box from the cell's corner, in strides: to left, top, right and bottom. */
export const BOX = { left: 0.5, top: 1, right: 1.5, bottom: 2 };
/** Landmarks from the cell's corner, in strides. */
export const POINTS = [0.1, 0.2, 0.9, 0.3, 0.5, 0.7, 0.2, 1.2, 0.8, 1.4];
/** What a fully bright cell scores. */
export const SCORE = 0.875;

const STRIDES = [8, 16, 32];
const MIN_SIZES = [
  [16, 32],
  [64, 128],
  [256, 512],
];
const ANYTHING = { multipleOf: 32 };

/** What a test may change of a signature, to break it. */
export interface Twist {
  readonly score?: number;
  readonly box?: number;
  readonly point?: number;
}

/** A detector's signature: a graph of it, and what a user writes in the manifest for it. */
export interface Signature {
  readonly entry: ModelEntry;
  readonly model: Uint8Array;
  readonly hasLandmarks: boolean;
}

const SCRFD_PIXELS: Pixels = { channels: 'RGB', mean: [127.5, 127.5, 127.5], scale: 0.0078125 };
const YOLO_PIXELS: Pixels = { channels: 'RGB', mean: [0, 0, 0], scale: 1 / 255 };
const YUNET_PIXELS: Pixels = { channels: 'BGR', mean: [0, 0, 0], scale: 1 };
const RETINAFACE_PIXELS: Pixels = { channels: 'BGR', mean: [104, 117, 123], scale: 1 };

/** Of several alike in a cell, the last is the one that sees. */
const lastOf = (count: number, values: readonly number[]): number[] => [
  ...Array.from({ length: (count - 1) * values.length }, () => 0),
  ...values,
];
const atStride = (stride: number, values: readonly number[]) => values.map((v) => (stride === STRIDE ? v : 0));

export function scrfd({
  isBatched = true,
  hasLandmarks = true,
  size = ANYTHING as ModelEntry['input']['size'],
  twist = {} as Twist,
}): Signature {
  const graph = new SignatureGraph(SCRFD_PIXELS);
  const names = { scores: [] as string[], boxes: [] as string[], kps: [] as string[] };
  for (const stride of STRIDES) {
    const add = (kind: keyof typeof names, values: readonly number[]) => {
      const cells = graph.cells(`${kind}${stride}`, stride, lastOf(2, atStride(stride, values)));
      names[kind].push(graph.output(graph.rows(`${kind}_${stride}`, cells, values.length, isBatched)));
    };
    add('scores', [twist.score ?? SCORE]);
    add('boxes', [twist.box ?? BOX.left, BOX.top, BOX.right, BOX.bottom]);
    if (hasLandmarks) add('kps', [twist.point ?? POINTS[0]!, ...POINTS.slice(1)]);
  }
  const model = graph.finish(size);
  const { scores, boxes, kps } = names;
  const outputs = { strides: STRIDES, anchorsPerCell: 2, scores, boxes, ...(hasLandmarks && { kps }) };
  return { model, hasLandmarks, entry: broughtEntry('scrfd', model, { input: { ...SCRFD_PIXELS, size }, outputs }) };
}

/** As OpenCV Zoo has it: of a fixed size. The score is the root of two. */
export function yunet({ size = ANYTHING as ModelEntry['input']['size'], twist = {} as Twist }): Signature {
  const graph = new SignatureGraph(YUNET_PIXELS);
  const names = { cls: [] as string[], obj: [] as string[], bbox: [] as string[], kps: [] as string[] };
  const box = [
    (BOX.right - BOX.left) / 2,
    (BOX.bottom - BOX.top) / 2,
    Math.log(BOX.left + BOX.right),
    twist.box ?? Math.log(BOX.top + BOX.bottom),
  ];
  for (const stride of STRIDES) {
    const add = (kind: keyof typeof names, values: readonly number[]) => {
      const cells = graph.cells(`${kind}${stride}`, stride, atStride(stride, values));
      names[kind].push(graph.output(graph.rows(`${kind}_${stride}`, cells, values.length)));
    };
    add('cls', [twist.score ?? SCORE]);
    add('obj', [twist.score ?? SCORE]);
    add('bbox', box);
    add('kps', [twist.point ?? POINTS[0]!, ...POINTS.slice(1)]);
  }
  const model = graph.finish(size);
  const outputs = { strides: STRIDES, ...names };
  const entry = broughtEntry('yunet', model, { input: { ...YUNET_PIXELS, size }, outputs });
  return { model, hasLandmarks: true, entry };
}

export function retinaface({
  hasLandmarks = true,
  size = ANYTHING as ModelEntry['input']['size'],
  twist = {} as Twist,
}): Signature {
  const graph = new SignatureGraph(RETINAFACE_PIXELS);
  const lists = { loc: [] as string[], conf: [] as string[], landms: [] as string[] };
  for (const [level, stride] of STRIDES.entries()) {
    const prior = MIN_SIZES[level]!.at(-1)!;
    const width = (BOX.left + BOX.right) * STRIDE;
    const height = (BOX.top + BOX.bottom) * STRIDE;
    // Encoded as in training: against the prior about the cell's centre, by the variances.
    const loc = [
      ((BOX.right - BOX.left - 1) * STRIDE) / 2 / (prior * 0.1),
      ((BOX.bottom - BOX.top - 1) * STRIDE) / 2 / (prior * 0.1),
      Math.log(width / prior) / 0.2,
      twist.box ?? Math.log(height / prior) / 0.2,
    ];
    const landms = POINTS.map((v) => ((v - 0.5) * STRIDE) / (prior * 0.1));
    if (twist.point !== undefined) landms[3] = twist.point;
    const add = (kind: keyof typeof lists, values: readonly number[]) => {
      const cells = graph.cells(`${kind}${stride}`, stride, lastOf(2, atStride(stride, values)));
      lists[kind].push(graph.rows(`${kind}/${stride}`, cells, values.length));
    };
    add('loc', loc);
    add('conf', [0, twist.score ?? SCORE]);
    if (hasLandmarks) add('landms', landms);
  }
  for (const [name, levels] of Object.entries(lists)) {
    if (levels.length > 0) graph.output(graph.builder.op('Concat', name, levels, { axis: 1 }));
  }
  const model = graph.finish(size);
  const outputs = {
    loc: 'loc',
    conf: 'conf',
    ...(hasLandmarks && { landms: 'landms' }),
    strides: STRIDES,
    minSizes: MIN_SIZES,
    variances: [0.1, 0.2] as [number, number],
  };
  return {
    model,
    hasLandmarks,
    entry: broughtEntry('retinaface', model, { input: { ...RETINAFACE_PIXELS, size }, outputs }),
  };
}

type YoloLayout = 'yolov5-face' | 'yolov8-face' | 'yolov8';
/** By layout: anchors a cell, values about the points, whether anchors come before values. */
const YOLO = {
  'yolov5-face': { anchors: 3, tail: [1], perPoint: [] as number[], byAnchor: true },
  'yolov8-face': { anchors: 1, tail: [], perPoint: [1], byAnchor: false },
  yolov8: { anchors: 1, tail: [], perPoint: null, byAnchor: false },
};

/** Its boxes are decoded in the graph: what a cell gives is added to where the cell is, so that its size is fixed. */
export function yoloFace({
  layout = 'yolov5-face' as YoloLayout,
  size = { width: 320, height: 192 },
  twist = {} as Twist,
}): Signature {
  const { anchors, tail, perPoint, byAnchor } = YOLO[layout];
  const graph = new SignatureGraph(YOLO_PIXELS);
  const levels = STRIDES.map((stride) => {
    const points = perPoint
      ? Array.from({ length: 5 }, (_, i) => [POINTS[2 * i]! * STRIDE, POINTS[2 * i + 1]! * STRIDE, ...perPoint]).flat()
      : [];
    if (twist.point !== undefined) points[0] = twist.point;
    const box = [
      ((BOX.right - BOX.left) * STRIDE) / 2,
      ((BOX.bottom - BOX.top) * STRIDE) / 2,
      (BOX.left + BOX.right) * STRIDE,
      twist.box ?? (BOX.top + BOX.bottom) * STRIDE,
    ];
    const values = [...box, twist.score ?? SCORE, ...points, ...tail];
    // The corner of the cell is added to the box's centre and to each point.
    const isPoint = (at: number) => at > 4 && at < 5 + points.length;
    const corner = (column: number, row: number) =>
      values.map((_, at) => {
        const axis = isPoint(at) ? (at - 5) % (points.length / 5) : at;
        if (at > 1 && !isPoint(at)) return 0;
        return axis === 0 ? column * stride : axis === 1 ? row * stride : 0;
      });
    const [columns, rows] = [size.width / stride, size.height / stride];
    const grid = Array.from({ length: columns * rows * anchors }, (_, i) => {
      const cell = Math.floor(i / anchors);
      return corner(cell % columns, Math.floor(cell / columns));
    });
    const cells = graph.cells(`cells${stride}`, stride, lastOf(anchors, atStride(stride, values)));
    const flat = graph.rows(`flat${stride}`, cells, values.length);
    const corners = graph.builder.constant(`grid${stride}`, [1, grid.length, values.length], grid.flat());
    return graph.builder.op('Add', `level${stride}`, [flat, corners]);
  });
  const all = graph.builder.op('Concat', byAnchor ? 'output' : 'byAnchor', levels, { axis: 1 });
  graph.output(byAnchor ? all : graph.builder.op('Transpose', 'output', [all], { perm: [0, 2, 1] }));
  const model = graph.finish(size);
  const outputs = { tensor: 'output', layout, strides: STRIDES };
  return {
    model,
    hasLandmarks: perPoint !== null,
    entry: broughtEntry('yolo-face', model, { input: { ...YOLO_PIXELS, size }, outputs }),
  };
}
