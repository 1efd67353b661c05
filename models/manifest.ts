import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from './errors.ts';
import {
  attributeFamilies,
  chipInput,
  detectorFamilies,
  landmarkFamilies,
  modelInput,
  recogniserFamilies,
  tensorName,
} from './families.ts';

const MANIFEST = 'manifest.json';
const OWN_MANIFEST = join(import.meta.dirname, MANIFEST);
/** A longer list of models is none. */
const MAX_MANIFEST_BYTES = 1 << 20;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
/** A plain file name: an entry must not reach out of the folders that are searched. */
const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be a plain file name');

const source = z.discriminatedUnion('type', [
  /** The file itself, at an address that names one version of it. */
  z.strictObject({ type: z.literal('url'), url: z.url({ protocol: /^https?$/ }) }),
  /** Brought by the user: it lies beside the manifest that names it, and nowhere else. */
  z.strictObject({ type: z.literal('file') }),
  /** Weight files of an npm package that `importer` converts. The converted file has the entry's `sha256`. */
  z.strictObject({
    type: z.literal('npm'),
    package: z.string().min(1),
    version: z.string().min(1),
    importer: z.enum(['ssd-mobilenet-v1', 'tiny-face', 'face-recogniser', 'landmarks-68', 'age-gender', 'expression']),
    files: z.array(z.strictObject({ path: z.string().min(1), bytes: z.int().positive(), sha256 })).min(1),
  }),
]);

const common = {
  /** How it is asked for: by FACEBLUR_DETECTOR, in reports and in messages. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be up to 64 letters, digits, dots and dashes'),
  /** New bytes get a new name: caches hold the old file under the old one. */
  file: fileName,
  /** Size of the file. */
  bytes: z.int().positive(),
  sha256,
  /** SPDX identifier. */
  licence: z.string().min(1),
  source,
};

const detector = {
  ...common,
  kind: z.literal('detector'),
  input: z.strictObject({ tensor: tensorName, ...modelInput }),
};
const ofChip = { ...common, input: z.strictObject({ tensor: tensorName, ...chipInput }) };
const recogniser = { ...ofChip, kind: z.literal('recogniser') };
const landmarks = { ...ofChip, kind: z.literal('landmarks') };
const attributes = { ...ofChip, kind: z.literal('attributes') };

const [yunet, ssdMobilenetV1, scrfd, yoloFace, retinaface, tinyFace] = detectorFamilies;
const [dlib, arcface, sface, facenet] = recogniserFamilies;
const [landmarks68] = landmarkFamilies;
const [ageGender, expression] = attributeFamilies;
const entry = z.discriminatedUnion('family', [
  z.strictObject({ ...detector, ...yunet }),
  z.strictObject({ ...detector, ...ssdMobilenetV1 }),
  z.strictObject({ ...detector, ...scrfd }),
  z.strictObject({ ...detector, ...yoloFace }),
  z.strictObject({ ...detector, ...retinaface }),
  z.strictObject({ ...detector, ...tinyFace }),
  z.strictObject({ ...recogniser, ...dlib }),
  z.strictObject({ ...recogniser, ...arcface }),
  z.strictObject({ ...recogniser, ...sface }),
  z.strictObject({ ...recogniser, ...facenet }),
  z.strictObject({ ...landmarks, ...landmarks68 }),
  z.strictObject({ ...attributes, ...ageGender }),
  z.strictObject({ ...attributes, ...expression }),
]);

/** A grid of cells covers an input of any size only where the cells divide it. */
function isDivided({ input, outputs }: z.infer<typeof entry>): boolean {
  if (!('multipleOf' in input.size)) return true;
  const { multipleOf } = input.size;
  const strides = 'strides' in outputs ? outputs.strides : 'stride' in outputs ? [outputs.stride] : [];
  return strides.every((stride) => multipleOf % stride === 0);
}

const dividedEntry = entry.refine(isDivided, {
  path: ['input', 'size', 'multipleOf'],
  error: 'must be a multiple of each of strides',
});

const manifest = z.strictObject({ models: z.array(dividedEntry).max(256) });

type AnyEntry = z.infer<typeof entry>;
/** What a model is for. */
export type ModelKind = AnyEntry['kind'];
export const MODEL_KINDS = [
  'detector',
  'recogniser',
  'landmarks',
  'attributes',
] as const satisfies readonly ModelKind[];
/**
 * What is known of one model of a kind: where it comes from, what its bytes must be, how it is fed and read. A detector,
 * unless another kind is named.
 */
export type ModelEntry<K extends ModelKind = 'detector'> = Extract<AnyEntry, { kind: K }>;
/** The entry of a detector of one family. */
export type DetectorEntry<F extends ModelEntry['family']> = Extract<ModelEntry, { family: F }>;
/** How a detector is fed. */
export type ModelInput = ModelEntry['input'];
/** How a model of single faces is fed. */
export type ChipInput = ModelEntry<'recogniser' | 'landmarks' | 'attributes'>['input'];
/** The npm package that a model is converted from. */
export type NpmSource = Extract<AnyEntry['source'], { type: 'npm' }>;

/**
 * The project's models, and those of the `manifest.json` in the user's folder where there is one: same form, checked as
 * strictly. An entry there takes the place of one of the project's that has its name.
 * @param kinds of which models are given: detectors when left out
 * @throws ModelError 'invalid-manifest' naming the file and the field
 */
export function loadModels(modelsDir?: string): readonly ModelEntry[];
export function loadModels<K extends ModelKind>(
  modelsDir: string | undefined,
  kinds: readonly K[],
): readonly ModelEntry<K>[];
export function loadModels(modelsDir?: string, kinds: readonly ModelKind[] = ['detector']): readonly AnyEntry[] {
  const own = readManifest(OWN_MANIFEST);
  const path = modelsDir && join(modelsDir, MANIFEST);
  if (!path || !statSync(path, { throwIfNoEntry: false })) return ofKinds(own, kinds);
  const brought = readManifest(path);
  const names = new Set(brought.map(({ name }) => name));
  return ofKinds([...own.filter(({ name }) => !names.has(name)), ...brought], kinds);
}

/**
 * Reads a list of models.
 * @param path a JSON file; the project's own `manifest.json` when left out
 * @param kinds of which models are given: detectors when left out
 * @throws ModelError 'invalid-manifest' naming the file and the field
 */
export function loadManifest(path?: string): readonly ModelEntry[];
export function loadManifest<K extends ModelKind>(
  path: string | undefined,
  kinds: readonly K[],
): readonly ModelEntry<K>[];
export function loadManifest(
  path: string = OWN_MANIFEST,
  kinds: readonly ModelKind[] = ['detector'],
): readonly AnyEntry[] {
  return ofKinds(readManifest(path), kinds);
}

function ofKinds(models: readonly AnyEntry[], kinds: readonly ModelKind[]): AnyEntry[] {
  return models.filter(({ kind }) => kinds.includes(kind));
}

function readManifest(path: string): readonly AnyEntry[] {
  const parsed = manifest.safeParse(readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ModelError('invalid-manifest', `${path}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { models } = parsed.data;
  const names = models.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new ModelError('invalid-manifest', `${path}: models: ${twice} is there twice`);
  return models;
}

function readJson(path: string): unknown {
  try {
    const { size } = statSync(path);
    if (size > MAX_MANIFEST_BYTES) throw new Error(`${size} bytes are more than ${MAX_MANIFEST_BYTES}`);
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ModelError('invalid-manifest', `${path} cannot be read as JSON: ${String(cause)}`, { cause });
  }
}

/** The entry called `name`, out of models of one kind. @throws ModelError 'unknown-model' */
export function findModel<E extends { readonly name: string }>(models: readonly E[], name: string): E {
  const found = models.find((model) => model.name === name);
  if (found) return found;
  const known = models.map((model) => model.name).join(', ');
  throw new ModelError('unknown-model', `no model is called ${name}; the manifest has ${known}`);
}
