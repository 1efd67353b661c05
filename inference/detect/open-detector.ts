import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { Detector } from './detector.ts';
import { SsdMobilenetDetector } from './ssd-mobilenet.ts';
import { YunetDetector } from './yunet.ts';
import type { PipelineOptions } from '../pipeline.ts';

/** How one family of detectors is used on files: what bench/leaks and bench/blur found to be worth its time. */
export type FileTuning = Pick<
  PipelineOptions,
  'detectEveryFrames' | 'inputPx' | 'sharpEveryFrames' | 'sharpInputPx' | 'minScore'
> & { readonly highScore: number; readonly birthScore: number };

const FILE_TUNING: Readonly<Record<ModelEntry['family'], FileTuning>> = {
  yunet: {
    detectEveryFrames: 3,
    inputPx: 640,
    sharpEveryFrames: 15,
    sharpInputPx: 960,
    minScore: 0.1,
    highScore: 0.3,
    birthScore: 0.15,
  },
  'ssd-mobilenet-v1': {
    detectEveryFrames: 6,
    inputPx: 512,
    sharpEveryFrames: 0,
    sharpInputPx: 512,
    minScore: 0.15,
    highScore: 0.4,
    birthScore: 0.3,
  },
};

export function fileTuning(entry: ModelEntry): FileTuning {
  return FILE_TUNING[entry.family];
}

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
