import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ModelError } from './errors.ts';
import { checkBytes, readChecked } from './file-check.ts';
import { buildAgeGender } from './importers/age-gender.ts';
import { buildExpression } from './importers/expression.ts';
import { buildFaceRecogniser } from './importers/face-recogniser.ts';
import { buildLandmarks68 } from './importers/landmarks-68.ts';
import { buildSsdMobilenetV1 } from './importers/ssd-mobilenet-v1.ts';
import { readTfjsWeights, type TfjsWeight } from './importers/tfjs-weights.ts';
import { buildTinyFace } from './importers/tiny-face.ts';
import type { ModelEntry, ModelKind, NpmSource } from './manifest.ts';

const REINSTALL = 'Run `npm ci` to install the locked package again';

/** Makes an `.onnx` file of a tfjs model's weights. */
const IMPORTERS: Record<NpmSource['importer'], (weights: ReadonlyMap<string, TfjsWeight>) => Uint8Array> = {
  'ssd-mobilenet-v1': buildSsdMobilenetV1,
  'tiny-face': buildTinyFace,
  'face-recogniser': buildFaceRecogniser,
  'landmarks-68': buildLandmarks68,
  'age-gender': buildAgeGender,
  expression: buildExpression,
};

/** Where the package of `source` is installed. @throws ModelError 'not-found' | 'source-mismatch' on another version */
export function packageFolder(source: NpmSource): string {
  let path: string;
  try {
    path = createRequire(import.meta.url).resolve(`${source.package}/package.json`);
  } catch (cause) {
    throw new ModelError('not-found', `the package ${source.package} is not installed. ${REINSTALL}.`, { cause });
  }
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: string };
  if (version !== source.version) {
    const versions = `${source.package} is ${version}, need ${source.version}`;
    throw new ModelError('source-mismatch', `${versions}. ${REINSTALL}.`);
  }
  return dirname(path);
}

/**
 * Converts a model from the weight files of an npm package.
 * @param folder where the package is, see `packageFolder`
 * @returns the `.onnx` file, checked against the entry
 * @throws ModelError 'not-found' | 'truncated' | 'checksum-mismatch' | 'unreadable' | 'invalid-weights'
 */
export async function convertModel(
  entry: ModelEntry<ModelKind>,
  source: NpmSource,
  folder: string,
): Promise<Uint8Array> {
  const files: Uint8Array[] = [];
  for (const file of source.files) {
    const path = join(folder, file.path);
    const bytes = await readChecked(path, file, REINSTALL);
    if (!bytes) throw new ModelError('not-found', `${path} is missing. ${REINSTALL}.`);
    files.push(bytes);
  }
  // Every importer reads a tfjs model: its manifest, then the one shard.
  const [manifest, shard] = files;
  const weights = readTfjsWeights(Buffer.from(manifest ?? []).toString('utf8'), shard ?? new Uint8Array(0));
  const converted = IMPORTERS[source.importer](weights);
  const remedy =
    'The importer was changed, or this machine computes differently: the manifest must name what it writes';
  checkBytes(converted, entry, `the conversion of ${entry.name}`, remedy);
  return converted;
}
