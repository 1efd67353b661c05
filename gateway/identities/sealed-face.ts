/** SHA-256 of the photo's file. */
const HASH_BYTES = 32;
const FLOAT_BYTES = 4;

/** What is kept of one photo of a person. */
export interface KeptFace {
  /** Of unit length. */
  readonly embedding: Float32Array;
  /** SHA-256 of the photo's file, in hex: what else was made of it can be found by it. */
  readonly photoHash: string;
}

/** The hash's 32 bytes, then the embedding's numbers as float32, little-endian. To be sealed, and overwritten then. */
export function packFace({ embedding, photoHash }: KeptFace): Uint8Array {
  const hash = Buffer.from(photoHash, 'hex');
  if (hash.length !== HASH_BYTES) throw new RangeError('a photo’s hash has 32 bytes');
  const packed = new Uint8Array(HASH_BYTES + embedding.length * FLOAT_BYTES);
  packed.set(hash);
  const view = new DataView(packed.buffer, HASH_BYTES);
  for (const [i, value] of embedding.entries()) view.setFloat32(i * FLOAT_BYTES, value, true);
  return packed;
}

/** @throws RangeError for what `packFace` did not make */
export function unpackFace(packed: Uint8Array): KeptFace {
  const length = (packed.length - HASH_BYTES) / FLOAT_BYTES;
  if (!(length >= 0 && Number.isInteger(length))) throw new RangeError('this is no face');
  const view = new DataView(packed.buffer, packed.byteOffset + HASH_BYTES);
  const embedding = Float32Array.from({ length }, (_, i) => view.getFloat32(i * FLOAT_BYTES, true));
  return { embedding, photoHash: Buffer.from(packed.subarray(0, HASH_BYTES)).toString('hex') };
}
