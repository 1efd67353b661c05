import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where model files are looked for, and which models are wanted. A folder that is left out is not looked at. */
export interface ModelLocations {
  /** Looked at first; written to by downloads and conversions, made when it is needed. */
  cacheDir: string;
  /** The user's own folder; it may hold a `manifest.json` of models that the user brings. */
  modelsDir?: string;
  /** A folder beside the repository that a workplace may provide. Only read. */
  sharedDir?: string;
  /** Name of the detector to use; when left out, YuNet, or what stands in for it where it can't be had. */
  detector?: string;
  /** Name of the recogniser to use; when left out, face-api's. */
  recogniser?: string;
}

/**
 * Where an installation keeps its models: `$XDG_CACHE_HOME/faceblur/models` (else `~/.cache/…`),
 * `$FACEBLUR_MODELS_DIR`, and `../shared/models` beside the repository; `$FACEBLUR_DETECTOR` and
 * `$FACEBLUR_RECOGNISER`. An empty variable counts as unset.
 * @see XDG Base Directory Specification, which has relative paths ignored
 */
export function defaultModelLocations(env: Readonly<Record<string, string | undefined>>): ModelLocations {
  const xdgCache = env.XDG_CACHE_HOME ?? '';
  const cacheHome = isAbsolute(xdgCache) ? xdgCache : join(env.HOME || homedir(), '.cache');
  const locations: ModelLocations = {
    cacheDir: join(cacheHome, 'faceblur', 'models'),
    sharedDir: join(import.meta.dirname, '..', '..', 'shared', 'models'),
  };
  if (env.FACEBLUR_MODELS_DIR) locations.modelsDir = env.FACEBLUR_MODELS_DIR;
  if (env.FACEBLUR_DETECTOR) locations.detector = env.FACEBLUR_DETECTOR;
  if (env.FACEBLUR_RECOGNISER) locations.recogniser = env.FACEBLUR_RECOGNISER;
  return locations;
}
