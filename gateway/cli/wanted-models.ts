import { ModelError } from '../../models/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { findModel, loadModels, MODEL_KINDS, type ModelEntry, type ModelKind } from '../../models/manifest.ts';
import { PREFERRED_DETECTOR, PREFERRED_RECOGNISER } from '../../models/resolve.ts';
import { GatewayError } from '../errors.ts';

/** All models that there are, and those that are chosen. */
export interface WantedModels {
  readonly models: readonly ModelEntry<ModelKind>[];
  readonly detector: ModelEntry;
  readonly recogniser: ModelEntry<'recogniser'>;
}

/**
 * Reads the project's manifest and the user's, and finds the models that the user wants, without opening any.
 * @throws GatewayError 'bad-config' for a manifest that is wrong, or a model that is in none
 */
export function wantedModels({ modelsDir, detector, recogniser }: ModelLocations): WantedModels {
  const models = named('FACEBLUR_MODELS_DIR', () => loadModels(modelsDir, MODEL_KINDS));
  return {
    models,
    detector: named('FACEBLUR_DETECTOR', () => findModel(ofKind(models, 'detector'), detector ?? PREFERRED_DETECTOR)),
    recogniser: named('FACEBLUR_RECOGNISER', () =>
      findModel(ofKind(models, 'recogniser'), recogniser ?? PREFERRED_RECOGNISER),
    ),
  };
}

function ofKind<K extends ModelKind>(models: readonly ModelEntry<ModelKind>[], kind: K): ModelEntry<K>[] {
  return models.filter((model): model is ModelEntry<K> => model.kind === kind);
}

function named<T>(variable: string, find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new GatewayError('bad-config', `${variable}: ${error.message}`, { cause: error });
  }
}
