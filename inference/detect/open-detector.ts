import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { Detector } from './detector.ts';
import { SsdMobilenetDetector } from './ssd-mobilenet.ts';
import { YunetDetector } from './yunet.ts';

/**
 * Makes the detector of a manifest entry. The caller closes it.
 * @throws InferenceError 'model-unusable'
 */
export async function openDetector(entry: ModelEntry, model: Uint8Array, threads: number): Promise<Detector> {
  switch (entry.family) {
    case 'yunet':
      return YunetDetector.create(entry.name, model, threads);
    case 'ssd-mobilenet-v1':
      return SsdMobilenetDetector.create(entry.name, model, threads);
    default:
      throw new InferenceError('unsupported-model', `no detector is written for ${(entry as ModelEntry).family}`);
  }
}
