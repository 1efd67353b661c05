import { z } from 'zod';

/** The name of an input or output in the graph. */
export const tensorName = z.string().min(1);

/** Larger inputs take more memory than a face is worth. */
const side = z.int().positive().max(4096);
const step = z.int().positive().max(256);

/** How a detector is fed: one picture, float32. */
export const modelInput = {
  layout: z.literal('NCHW'),
  /** Order of the three colour planes. */
  channels: z.enum(['BGR', 'RGB']),
  /** Of a pixel 0..255, in the order of `channels`: the tensor holds (pixel − mean) · scale. */
  mean: z.tuple([z.number(), z.number(), z.number()]),
  scale: z.number(),
  /** Any width and height that are multiples of a number, or one fixed size; pixels. */
  size: z.union([z.strictObject({ multipleOf: step }), z.strictObject({ width: side, height: side })]),
};

/** Pixels between the cells of each level, finest first. */
const strides = z.array(step).min(1).max(8);
/** One output a level, in the order of `strides`. */
const perLevel = z.array(tensorName).min(1).max(8);
const sizes = z.array(z.number().positive()).min(1).max(8);

/** Every level must have its tensor. */
function levelled<T extends Record<string, unknown> & { strides: number[] }>(outputs: T): boolean {
  return Object.values(outputs).every((value) => !Array.isArray(value) || value.length === outputs.strides.length);
}
const ONE_A_LEVEL = 'must have one tensor for each of strides';

/**
 * The families of detectors and what each tells of its outputs, before NMS. Boxes and landmarks are in pixels of the
 * input unless it says otherwise; landmarks are right eye, left eye, nose, right and left corner of the mouth.
 */
export const detectorFamilies = [
  /**
   * By level: `cls` and `obj` [cells], score = √(cls · obj); `bbox` [cells, 4] as centre from the cell's corner and
   * logarithm of the size, `kps` [cells, 5 × 2] from the cell's corner, both in strides.
   * @see YuNet, Wu et al. 2023
   */
  {
    family: z.literal('yunet'),
    outputs: z
      .strictObject({ strides, cls: perLevel, obj: perLevel, bbox: perLevel, kps: perLevel })
      .refine(levelled, ONE_A_LEVEL),
  },
  /** `boxes` [1, N, 4] as x1, y1, x2, y2 in 0..1 of the input (may lie outside), `scores` [1, N]. */
  {
    family: z.literal('ssd-mobilenet-v1'),
    outputs: z.strictObject({ boxes: tensorName, scores: tensorName }),
  },
  /**
   * SCRFD as InsightFace exports it, 500M to 34G, with a batch dimension or without. By level, a cell's anchors one
   * after the other: `scores` [N, 1], 0..1; `boxes` [N, 4], the distances from the cell's corner to left, top, right and
   * bottom; `kps` [N, 5 × 2] from the cell's corner, where the model has them; all in strides.
   * Input: RGB, mean 127.5, scale 1/128 (0.0078125).
   * @see SCRFD, Guo et al. 2021
   */
  {
    family: z.literal('scrfd'),
    outputs: z
      .strictObject({
        strides: strides.default([8, 16, 32]),
        /** Two at three levels, one at five. */
        anchorsPerCell: z.int().min(1).max(8).default(2),
        scores: perLevel,
        boxes: perLevel,
        kps: perLevel.optional(),
      })
      .refine(levelled, ONE_A_LEVEL),
  },
  /**
   * YOLO detectors of faces whose graph decodes its boxes. Input: RGB, mean 0, scale 1/255. `layout`, by N anchors:
   * - `yolov5-face` [1, N, 16]: centre x, y, width, height, objectness, 5 × (x, y), class; score = objectness · class
   * - `yolov8-face` [1, 20, N]: centre x, y, width, height, score, 5 × (x, y, visibility)
   * - `yolov8` [1, 5, N]: centre x, y, width, height, score; trained on faces, without landmarks
   */
  {
    family: z.literal('yolo-face'),
    outputs: z.strictObject({
      tensor: tensorName,
      layout: z.enum(['yolov5-face', 'yolov8-face', 'yolov8']),
      strides: strides.default([8, 16, 32]),
    }),
  },
  /**
   * RetinaFace as biubug6/Pytorch_Retinaface exports it. Over all levels, a cell's priors one after the other: `loc`
   * [1, N, 4] and `landms` [1, N, 5 × 2] encoded against the priors, `conf` [1, N, 2] as the probabilities of no face
   * and of a face. Input: BGR, mean [104, 117, 123], scale 1.
   */
  {
    family: z.literal('retinaface'),
    outputs: z
      .strictObject({
        loc: tensorName,
        conf: tensorName,
        landms: tensorName.optional(),
        /** Pixels between the cells of each level (`steps` there). */
        strides: strides.default([8, 16, 32]),
        /** Sides of the square priors of each level's cells. */
        minSizes: z
          .array(sizes)
          .min(1)
          .max(8)
          .default([
            [16, 32],
            [64, 128],
            [256, 512],
          ]),
        variances: z.tuple([z.number().positive(), z.number().positive()]).default([0.1, 0.2]),
      })
      .refine(levelled, 'must have minSizes for each of strides'),
  },
  /**
   * face-api's Tiny face detector, a YOLOv2: `cells` [1, anchors · 5, rows, columns], an anchor's five planes one after
   * the other: centre from the cell's corner before the sigmoid, logarithms of width and height over the anchor's, score
   * before the sigmoid.
   */
  {
    family: z.literal('tiny-face'),
    outputs: z.strictObject({
      cells: tensorName,
      stride: step,
      /** Width and height of each anchor, in strides. */
      anchors: z
        .array(z.tuple([z.number().positive(), z.number().positive()]))
        .min(1)
        .max(16),
    }),
  },
] as const;

/** How a model of single faces is fed: one chip, or one crop, of a fixed size, float32. */
export const chipInput = {
  ...modelInput,
  /** NHWC is how Keras exports. */
  layout: z.enum(['NCHW', 'NHWC']),
  size: z.strictObject({ width: side.max(512), height: side.max(512) }),
};

const point = z.tuple([z.number(), z.number()]);
const similarity = z.number().min(0).max(1);

const recogniser = {
  outputs: z.strictObject({
    /** [1, dimension]; any length of vector, it is made a unit one. */
    embedding: tensorName,
    dimension: z.int().min(16).max(4096).multipleOf(2),
  }),
  /**
   * Where on the chip, in its pixels, the five landmarks lie: right eye, left eye, nose, right and left corner of the
   * mouth. The family's own when left out.
   */
  chip: z.tuple([point, point, point, point, point]).optional(),
  /** Similarities of two embeddings, which are cosines, 0..1. */
  thresholds: z
    .strictObject({
      /** From here on two looks are the same person. */
      accept: similarity,
      /**
       * From here on the mean of three looks or more is a person. Chance is less in a mean, so strangers are more alike
       * in it as well, and one's own looks far more: it is above `accept`, which it is when left out.
       */
      track: similarity.optional(),
      /** Below it they are two. Between the two nothing is known. */
      reject: similarity,
    })
    .refine(({ accept, reject }) => reject <= accept, 'reject must not be above accept')
    .refine(({ accept, track = accept }) => track >= accept, 'track must not be below accept'),
};

/** The families of recognisers, which differ in where a face lies on the chip. */
export const recogniserFamilies = [
  /** dlib's ResNet, as face-api has it: a chip of 150 × 150 with much around the face; 128 numbers. @see King 2017 */
  { family: z.literal('dlib'), ...recogniser },
  /**
   * ArcFace and what is trained on its chip of 112 × 112 (InsightFace, AdaFace, MagFace, CurricularFace …); mostly 512
   * numbers. InsightFace: RGB, mean 127.5, scale 1/127.5. @see Deng et al. 2019
   */
  { family: z.literal('arcface'), ...recogniser },
  /** SFace as OpenCV has it: ArcFace's chip, RGB, mean 0, scale 1; 128 numbers. @see Zhong et al. 2021 */
  { family: z.literal('sface'), ...recogniser },
  /** FaceNet: a chip of 160 × 160; RGB, mean 127.5, scale 1/128; 512 or 128 numbers. @see Schroff et al. 2015 */
  { family: z.literal('facenet'), ...recogniser },
] as const;

/** The families of models that find landmarks in the crop of a face. */
export const landmarkFamilies = [
  /** face-api's 68 points of the 300-W annotation: `landmarks` [1, 136] as x, y in 0..1 of the crop. */
  { family: z.literal('landmarks-68'), outputs: z.strictObject({ landmarks: tensorName }) },
] as const;

/** The families of models that tell something of the crop of a face. */
export const attributeFamilies = [
  /** `age` [1, 1], years; `gender` [1, 2], probabilities of male and female. */
  { family: z.literal('age-gender'), outputs: z.strictObject({ age: tensorName, gender: tensorName }) },
  /** `expressions` [1, labels], probabilities. */
  {
    family: z.literal('expression'),
    outputs: z.strictObject({ expressions: tensorName, labels: z.array(z.string().min(1)).min(2).max(32) }),
  },
] as const;
