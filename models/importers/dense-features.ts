import type { Features, TfjsLayers } from './tfjs-layers.ts';

const BLOCKS = 4;
const LAYERS_A_BLOCK = 4;

/**
 * face-api's feature extractor of landmarks and expressions: four dense blocks, each half the size of the one before.
 * @returns a tensor [batch, 256]
 * @see node_modules/@vladmandic/face-api/src/faceFeatureExtractor
 */
export function denseFeatures(layers: TfjsLayers): string {
  let features = layers.input;
  for (let block = 0; block < BLOCKS; block++) features = denseBlock(layers, `dense${block}`, features, block === 0);
  return layers.means(features);
}

/** Each layer sees the sum of all before it. */
function denseBlock(layers: TfjsLayers, name: string, from: Features, isFirst: boolean): Features {
  const first = `${name}/conv0`;
  let sum = layers.relu(isFirst ? layers.convolve(first, from, 2) : layers.separable(first, from, 2));
  let seen = sum;
  for (let layer = 1; layer < LAYERS_A_BLOCK; layer++) {
    sum = layers.add(`${name}/sum${layer}`, sum, layers.separable(`${name}/conv${layer}`, seen));
    seen = layers.relu(sum);
  }
  return seen;
}
