import { ModelError } from '../../models/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { findModel, loadModels, type ModelEntry } from '../../models/manifest.ts';
import { PREFERRED_DETECTOR } from '../../models/resolve.ts';
import { GatewayError } from '../errors.ts';

/** All models that there are to choose from, and the detector that is chosen. */
export interface WantedModels {
  readonly models: readonly ModelEntry[];
  readonly detector: ModelEntry;
}

/**
 * Reads the project's manifest and the user's, and finds the detector that the user wants, without opening any model.
 * @throws GatewayError 'bad-config' for a manifest that is wrong, or a detector that is in none
 */
export function wantedModels(locations: ModelLocations): WantedModels {
  try {
    const models = loadModels(locations.modelsDir);
    return { models, detector: findModel(models, locations.detector ?? PREFERRED_DETECTOR) };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const variable = error.code === 'unknown-model' ? 'FACEBLUR_DETECTOR' : 'FACEBLUR_MODELS_DIR';
    throw new GatewayError('bad-config', `${variable}: ${error.message}`, { cause: error });
  }
}
