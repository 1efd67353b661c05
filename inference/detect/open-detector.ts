import type { ModelEntry } from '../../models/manifest.ts';
import { mergeHeads } from '../../models/onnx/merge-heads.ts';
import type { DetectionHead } from './detection-head.ts';
import type { Detector } from './detector.ts';
import { ModelDetector } from './model-detector.ts';
import { checkSignature } from './model-signature.ts';
import { retinafaceHead } from './retinaface.ts';
import { scrfdHead } from './scrfd.ts';
import { ssdMobilenetHead } from './ssd-mobilenet.ts';
import { tinyFaceHead } from './tiny-face.ts';
import { yoloFaceHead } from './yolo-face.ts';
import { yunetHead } from './yunet.ts';

/**
 * Makes the detector of a manifest entry. The caller closes it.
 * @throws InferenceError 'model-unusable' when the graph does not load or is not as the entry says
 */
export async function openDetector(entry: ModelEntry, model: Uint8Array, threads: number): Promise<Detector> {
  const head = headOf(entry);
  checkSignature(entry, model, head.tensors);
  return ModelDetector.create(entry, head, mergeHeads(model), threads);
}

function headOf(entry: ModelEntry): DetectionHead {
  switch (entry.family) {
    case 'yunet':
      return yunetHead(entry.outputs);
    case 'ssd-mobilenet-v1':
      return ssdMobilenetHead(entry.outputs);
    case 'scrfd':
      return scrfdHead(entry.outputs);
    case 'yolo-face':
      return yoloFaceHead(entry.outputs);
    case 'retinaface':
      return retinafaceHead(entry.outputs);
    case 'tiny-face':
      return tinyFaceHead(entry.outputs);
  }
}
