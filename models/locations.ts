import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The folders where model files are looked for. One that is left out is not looked at. */
export interface ModelLocations {
  /** Looked at first; written to by downloads and conversions, made when it is needed. */
  cacheDir: string;
  /** The user's own folder. */
  modelsDir?: string;
  /** A folder beside the repository that a workplace may provide. Only read. */
  sharedDir?: string;
}

/**
 * Where an installation keeps its models: `$XDG_CACHE_HOME/faceblur/models` (else `~/.cache/…`),
 * `$FACEBLUR_MODELS_DIR`, and `../shared/models` beside the repository. An empty variable counts as unset.
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
  return locations;
}
