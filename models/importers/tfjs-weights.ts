import { z } from 'zod';
import { ModelError } from '../errors.ts';

/** One weight of a tfjs model, dequantised. `shape` is in tfjs order: HWIO for a convolution, HWCM for a depthwise one. */
export interface TfjsWeight {
  shape: number[];
  values: Float32Array;
}

const spec = z.object({
  name: z.string(),
  shape: z.array(z.int().nonnegative()),
  dtype: z.enum(['float32', 'int32']),
  quantization: z.object({ dtype: z.literal('uint8'), scale: z.number(), min: z.number() }).optional(),
});
const weightsManifest = z.tuple([z.object({ weights: z.array(spec) })]);

/**
 * Reads the weights of a tfjs model of one group and one shard, as the face-api package ships them. A quantised weight
 * is `byte · scale + min`, computed in double and rounded once to float32 as tfjs does, so the values are tfjs's own
 * bit for bit on any machine.
 * @param manifest text of `*-weights_manifest.json`
 * @param shard the `.bin` that it names
 * @returns weights by name; int32 ones (constants of the original graph, not read here) are left out
 * @throws ModelError 'invalid-weights'
 * @see tfjs-core, io_utils.ts, decodeWeights
 */
export function readTfjsWeights(manifest: string, shard: Uint8Array): Map<string, TfjsWeight> {
  let specs: z.infer<typeof spec>[];
  try {
    [{ weights: specs }] = weightsManifest.parse(JSON.parse(manifest));
  } catch (cause) {
    throw new ModelError('invalid-weights', 'the tfjs weight manifest does not parse', { cause });
  }
  const view = new DataView(shard.buffer, shard.byteOffset, shard.byteLength);
  const weights = new Map<string, TfjsWeight>();
  let at = 0;
  for (const { name, shape, dtype, quantization } of specs) {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const start = at;
    at += quantization ? count : count * 4;
    if (at > shard.length) {
      throw new ModelError(
        'invalid-weights',
        `tfjs weights end in ${name}: ${shard.length} bytes, need at least ${at}`,
      );
    }
    if (dtype === 'int32') continue;
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      values[i] = quantization
        ? view.getUint8(start + i) * quantization.scale + quantization.min
        : view.getFloat32(start + i * 4, true);
    }
    weights.set(name, { shape, values });
  }
  if (at !== shard.length) {
    throw new ModelError('invalid-weights', `tfjs weights have ${shard.length} bytes; their manifest describes ${at}`);
  }
  return weights;
}
