import { join } from 'node:path';
import { writeToCache } from './cache.ts';
import { ModelError } from './errors.ts';
import { checkBytes, readChecked } from './file-check.ts';
import { modelPlaces, replaceRemedy } from './locate.ts';
import { defaultModelLocations, type ModelLocations } from './locations.ts';
import { findModel, loadModels, type ModelEntry, type ModelKind } from './manifest.ts';

/** The recogniser that is used unless the user names one. */
export const PREFERRED_RECOGNISER = 'face-recogniser';
/** The detector that is used unless the user names one. */
export const PREFERRED_DETECTOR = 'yunet-n';
const FALLBACK_DETECTOR = 'ssd-mobilenet-v1';
const DEFAULT_DOWNLOAD_TIMEOUT_MS = 20_000;

export interface ResolveOptions extends ModelLocations {
  /** May a missing file be fetched from its source address? Default: yes. */
  allowDownload?: boolean;
  /** Longest that one download may take. Default: 20 000. */
  downloadTimeoutMs?: number;
  /** Aborting it rejects with its reason. */
  signal?: AbortSignal;
  /** The models that can be asked for. Default: the project's, and those that the user brings in `modelsDir`. */
  models?: readonly ModelEntry<ModelKind>[];
}

export interface ResolvedModel<K extends ModelKind = 'detector'> {
  entry: ModelEntry<K>;
  /** Where the file is. Load `bytes` rather than this: the file may change after the check. */
  path: string;
  /** The whole `.onnx` file, checked. Owned by the caller. */
  bytes: Uint8Array;
  /** Where it was had from. `downloaded` and `converted`: by this call, and then written to the cache. */
  origin: 'cache' | 'models-dir' | 'shared' | 'downloaded' | 'converted';
}

/**
 * Finds a model's file and checks it whole, in the order cache → `modelsDir` → `sharedDir` → its source (a download, or
 * a conversion of an installed package), whose result goes to the cache. A file outside the cache is used in place.
 * A file that is present and wrong is an error wherever it is: the next place is not tried.
 * @throws ModelError 'not-found' when no place has it; 'truncated' | 'checksum-mismatch' | 'unreadable' naming the file;
 *   'unknown-model', be it that it is of another kind; 'cache-unwritable'; 'source-mismatch'
 */
export async function resolveModelOf<K extends ModelKind>(
  kind: K,
  name: string,
  options: ResolveOptions,
): Promise<ResolvedModel<K>> {
  const models = options.models ?? loadModels(options.modelsDir, [kind]);
  const entry = findModel(
    models.filter((model): model is ModelEntry<K> => model.kind === kind),
    name,
  );
  options.signal?.throwIfAborted();
  for (const { origin, path, remedy } of modelPlaces(entry, options)) {
    const bytes = await readChecked(path, entry, remedy);
    if (bytes) return { entry, path, bytes, origin };
  }
  const made = await fromSource(entry, options);
  const path = join(options.cacheDir, entry.file);
  await writeToCache(path, made.bytes);
  return { entry, path, ...made };
}

/** As `resolveModelOf`, of a detector. */
export function resolveModel(
  name: string,
  options: ResolveOptions = defaultModelLocations({}),
): Promise<ResolvedModel> {
  return resolveModelOf('detector', name, options);
}

/**
 * The face detector to use: the one that the user named (`options.detector`); else YuNet, or SSD-MobileNetV1 where YuNet
 * is not to be had. A file that is present and wrong is an error, not a reason to fall back, and so is a named detector
 * that is absent.
 * @param warn called once with one line when it falls back
 * @throws ModelError as `resolveModel` does
 */
export async function resolveDetector(
  options: ResolveOptions,
  warn: (message: string) => void,
): Promise<ResolvedModel> {
  if (options.detector !== undefined) {
    return asked('FACEBLUR_DETECTOR', resolveModel(options.detector, options));
  }
  try {
    return await resolveModel(PREFERRED_DETECTOR, options);
  } catch (error) {
    if (!(error instanceof ModelError && error.code === 'not-found')) throw error;
    const fallback = await resolveModel(FALLBACK_DETECTOR, options);
    warn(
      `${error.message} Using ${FALLBACK_DETECTOR} instead, which sees 512 × 512 pixels only and gives no landmarks.`,
    );
    return fallback;
  }
}

/**
 * The recogniser to use: the one that the user named (`options.recogniser`), else face-api's.
 * @throws ModelError as `resolveModel` does
 */
export async function resolveRecogniser(options: ResolveOptions): Promise<ResolvedModel<'recogniser'>> {
  const { recogniser } = options;
  if (recogniser === undefined) return resolveModelOf('recogniser', PREFERRED_RECOGNISER, options);
  return asked('FACEBLUR_RECOGNISER', resolveModelOf('recogniser', recogniser, options));
}

/** Says which variable named the model that is unknown. */
async function asked<T>(variable: string, resolving: Promise<T>): Promise<T> {
  try {
    return await resolving;
  } catch (error) {
    if (!(error instanceof ModelError && error.code === 'unknown-model')) throw error;
    throw new ModelError('unknown-model', `${variable}: ${error.message}`, { cause: error });
  }
}

async function fromSource(
  entry: ModelEntry<ModelKind>,
  options: ResolveOptions,
): Promise<Pick<ResolvedModel, 'bytes' | 'origin'>> {
  const { source } = entry;
  // Loaded when needed: most starts find all they need in the cache.
  if (source.type === 'npm') {
    const { convertModel, packageFolder } = await import('./convert.ts');
    return { bytes: await convertModel(entry, source, packageFolder(source)), origin: 'converted' };
  }
  if (source.type === 'file') throw new ModelError('not-found', `${entry.file} is not there. ${replaceRemedy(entry)}.`);
  if (options.allowDownload === false) throw notFound(entry, options, 'downloads are off');
  const { signal, downloadTimeoutMs: timeoutMs = DEFAULT_DOWNLOAD_TIMEOUT_MS } = options;
  const { download } = await import('./download.ts');
  try {
    const bytes = await download(source.url, { maxBytes: entry.bytes, timeoutMs, signal });
    checkBytes(bytes, entry, `the download of ${source.url}`, replaceRemedy(entry));
    return { bytes, origin: 'downloaded' };
  } catch (error) {
    if (!(error instanceof ModelError && error.code === 'not-found')) throw error;
    throw notFound(entry, options, error.message, error);
  }
}

function notFound(entry: ModelEntry<ModelKind>, options: ResolveOptions, reason: string, cause?: Error): ModelError {
  const folders = [options.cacheDir, options.modelsDir, options.sharedDir].filter((folder) => folder !== undefined);
  const message = `${entry.file} is in none of ${folders.join(', ')} and could not be downloaded (${reason}).`;
  return new ModelError('not-found', `${message} ${replaceRemedy(entry)}.`, { cause });
}
