import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from './errors.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
/** A plain file name: an entry must not reach out of the folders that are searched. */
const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be a plain file name');
const tensorName = z.string().min(1);

const source = z.discriminatedUnion('type', [
  /** The file itself, at an address that names one version of it. */
  z.object({ type: z.literal('url'), url: z.url({ protocol: /^https?$/ }) }),
  /** Weight files of an npm package that `importer` converts. The converted file has the entry's `sha256`. */
  z.object({
    type: z.literal('npm'),
    package: z.string().min(1),
    version: z.string().min(1),
    importer: z.enum(['ssd-mobilenet-v1']),
    files: z.array(z.object({ path: z.string().min(1), bytes: z.int().positive(), sha256 })).min(1),
  }),
]);

const input = z.object({
  tensor: tensorName,
  layout: z.literal('NCHW'),
  /** Order of the three colour planes. */
  channels: z.enum(['BGR', 'RGB']),
  /** Of a pixel 0..255, in the order of `channels`: the tensor holds (pixel − mean) · scale. */
  mean: z.tuple([z.number(), z.number(), z.number()]),
  scale: z.number(),
  /** Any width and height that are multiples of a number, or one fixed size; pixels. */
  size: z.union([
    z.strictObject({ multipleOf: z.int().positive() }),
    z.strictObject({ width: z.int().positive(), height: z.int().positive() }),
  ]),
});

const common = {
  name: z.string().min(1),
  kind: z.literal('detector'),
  /** New bytes get a new name: caches hold the old file under the old one. */
  file: fileName,
  /** Size of the file. */
  bytes: z.int().positive(),
  sha256,
  /** SPDX identifier. */
  licence: z.string().min(1),
  source,
  input,
};

const entry = z.discriminatedUnion('family', [
  /** Tensor names by stride: score = √(cls · obj), boxes and five landmarks relative to the stride's cell. */
  z.object({
    ...common,
    family: z.literal('yunet'),
    outputs: z.object({
      strides: z.array(z.int().positive()).min(1),
      cls: z.array(tensorName),
      obj: z.array(tensorName),
      bbox: z.array(tensorName),
      kps: z.array(tensorName),
    }),
  }),
  /** `boxes` [1, N, 4] as x1, y1, x2, y2 in 0..1 of the input square (may lie outside), `scores` [1, N]; before NMS. */
  z.object({
    ...common,
    family: z.literal('ssd-mobilenet-v1'),
    outputs: z.object({ boxes: tensorName, scores: tensorName }),
  }),
]);

const manifest = z.object({ models: z.array(entry) });

/** What is known of one model: where it comes from, what its bytes must be, how it is fed and read. */
export type ModelEntry = z.infer<typeof entry>;
/** The npm package that a model is converted from. */
export type NpmSource = Extract<ModelEntry['source'], { type: 'npm' }>;

/**
 * Reads the list of models.
 * @param path a JSON file; the project's own `manifest.json` when left out
 * @throws ModelError 'invalid-manifest' naming the file and the field
 */
export function loadManifest(path: string = join(import.meta.dirname, 'manifest.json')): readonly ModelEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ModelError('invalid-manifest', `${path} cannot be read as JSON: ${String(cause)}`, { cause });
  }
  const parsed = manifest.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ModelError('invalid-manifest', `${path}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data.models;
}

/** The entry called `name`. @throws ModelError 'unknown-model' */
export function findModel(models: readonly ModelEntry[], name: string): ModelEntry {
  const found = models.find((model) => model.name === name);
  if (found) return found;
  const known = models.map((model) => model.name).join(', ');
  throw new ModelError('unknown-model', `no model is called ${name}; the manifest has ${known}`);
}
