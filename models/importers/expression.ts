import { denseFeatures } from './dense-features.ts';
import { TfjsLayers } from './tfjs-layers.ts';
import type { TfjsWeight } from './tfjs-weights.ts';

const INPUT_SIZE = 112;
const EXPRESSIONS = 7;

/**
 * Builds face-api's net of expressions as ONNX.
 *
 * Input `face`: float32 [batch, 3, 112, 112], RGB 0..255, less [122.782, 117.001, 104.298], over 255.
 * Output `expressions` [batch, 7], probabilities: neutral, happy, sad, angry, fearful, disgusted, surprised.
 * @param weights of `face_expression_model`
 * @returns the `.onnx` file; the same weights give the same bytes
 * @throws ModelError 'invalid-weights'
 * @see node_modules/@vladmandic/face-api/src/faceExpressionNet
 */
export function buildExpression(weights: ReadonlyMap<string, TfjsWeight>): Uint8Array {
  const layers = new TfjsLayers('expression', INPUT_SIZE, weights);
  const logits = layers.connect('logits', denseFeatures(layers), 'fc/weights', 'fc/bias');
  layers.graph.op('Softmax', 'expressions', [logits], { axis: 1 });
  return layers.finish({ expressions: EXPRESSIONS });
}
