import { InferenceError } from '../errors.ts';

/** What the file system says of a file that can't be written, in the engine's terms. */
export function asOutputError(cause: unknown, path: string): InferenceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new InferenceError('no-space', `no space left on the disk for ${path}`, { cause });
  }
  return new InferenceError('output-unwritable', `${path} can't be written: ${message}`, { cause });
}
