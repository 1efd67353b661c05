/**
 * What can go wrong between a model's name and its checked bytes.
 *
 * - `unknown-model`: no manifest entry has that name
 * - `not-found`: in none of the places that were looked at, and not to be downloaded
 * - `truncated`, `checksum-mismatch`: a file is there and is not the one that the manifest names
 * - `unreadable`, `cache-unwritable`: the file system refuses
 * - `source-mismatch`: the npm package that a model is converted from is absent or another version
 * - `invalid-manifest`, `invalid-weights`, `invalid-onnx`: bytes that do not parse
 */
export type ModelErrorCode =
  | 'unknown-model'
  | 'not-found'
  | 'truncated'
  | 'checksum-mismatch'
  | 'unreadable'
  | 'cache-unwritable'
  | 'source-mismatch'
  | 'invalid-manifest'
  | 'invalid-weights'
  | 'invalid-onnx';

/** The one error of `models/`: its message names the file and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
