import { denseFeatures } from './dense-features.ts';
import { TfjsLayers } from './tfjs-layers.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

const INPUT_SIZE = 112;
const POINTS = 68;

/**
 * Builds face-api's net of 68 landmarks as ONNX.
 *
 * Input `face`: float32 [batch, 3, 112, 112], RGB 0..255, less [122.782, 117.001, 104.298], over 255.
 * Output `landmarks` [batch, 136]: x, y of each point in 0..1 of the crop, in the order of the 300-W annotation.
 * @param weights of `face_landmark_68_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/faceLandmarkNet
 */
export function buildLandmarks68(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  const layers = new TfjsLayers('landmarks-68', INPUT_SIZE, weights);
  layers.connect('landmarks', denseFeatures(layers), 'fc/weights', 'fc/bias');
  return layers.finish({ landmarks: 2 * POINTS });
}
