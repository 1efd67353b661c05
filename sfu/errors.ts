/** Why packet or session work failed. The code is part of the interface; the message is for people. */
export type SfuErrorCode =
  | 'bad-fragment'
  | 'bad-offer'
  | 'bad-parameters'
  | 'closed'
  | 'no-compatible-codec'
  | 'not-found'
  | 'not-live'
  | 'source-refused'
  | 'source-unreachable'
  | 'too-many'
  | 'worker-died'
  | 'worker-missing';

export class SfuError extends Error {
  override readonly name = 'SfuError';
  readonly code: SfuErrorCode;

  constructor(code: SfuErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
