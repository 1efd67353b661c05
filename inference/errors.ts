/** Why inference or media work failed. The code is part of the interface; the message is for people. */
export type InferenceErrorCode =
  | 'aborted'
  | 'bad-options'
  | 'child-died'
  | 'child-hung'
  | 'closed'
  | 'decode-failed'
  | 'encode-failed'
  | 'input-empty'
  | 'input-missing'
  | 'input-not-video'
  | 'input-truncated'
  | 'input-unreadable'
  | 'no-space'
  | 'output-unwritable'
  | 'run-failed'
  | 'unsupported-model'
  | 'model-unusable';

/** Faults that lie with what the user gave us: a file, a path, an option, a full disk. All others are ours. */
const INPUT_FAULTS: ReadonlySet<InferenceErrorCode> = new Set([
  'aborted',
  'bad-options',
  'input-empty',
  'input-missing',
  'input-not-video',
  'input-truncated',
  'input-unreadable',
  'no-space',
  'output-unwritable',
]);

export class InferenceError extends Error {
  override readonly name = 'InferenceError';
  readonly code: InferenceErrorCode;

  constructor(code: InferenceErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Whose fault it is: the input's (or the user's), or ours. */
  get fault(): 'input' | 'ours' {
    return INPUT_FAULTS.has(this.code) ? 'input' : 'ours';
  }
}

/** @returns the error itself when it is ours already, else wrapped under `code`. */
export function asInferenceError(error: unknown, code: InferenceErrorCode, what: string): InferenceError {
  if (error instanceof InferenceError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new InferenceError(code, `${what}: ${reason}`, { cause: error });
}
