import { hash } from 'node:crypto';
import type { ModelLocations } from '../../models/locations.ts';
import { findModel, loadModels } from '../../models/manifest.ts';
import { PREFERRED_RECOGNISER, resolveDetector } from '../../models/resolve.ts';

/** What stills are looked at with besides the detector and the recogniser. */
export const LANDMARKS = 'landmarks-68';
export const AGE_GENDER = 'age-gender';
export const EXPRESSION = 'expression';

/** Which models the engine of still pictures works with here. */
export interface StillModelNames {
  readonly detector: string;
  readonly recogniser: string;
  /** Changes with the bytes of any of the models: 64 hex digits. */
  readonly fingerprint: string;
}

/**
 * Which models still pictures are looked at with, without loading any. The detector is the one that can be had without a
 * download.
 * @throws ModelError as `resolveDetector` does
 */
export async function stillModelNames(locations: ModelLocations): Promise<StillModelNames> {
  const { entry: detector } = await resolveDetector({ ...locations, allowDownload: false }, () => undefined);
  const models = loadModels(locations.modelsDir, ['recogniser', 'landmarks', 'attributes']);
  const recogniser = findModel(models, locations.recogniser ?? PREFERRED_RECOGNISER);
  const others = [LANDMARKS, AGE_GENDER, EXPRESSION].map((name) => findModel(models, name));
  const entries = [detector, recogniser, ...others];
  return {
    detector: detector.name,
    recogniser: recogniser.name,
    fingerprint: hash('sha256', JSON.stringify(entries), 'hex'),
  };
}
