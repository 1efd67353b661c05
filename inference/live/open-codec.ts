import { type Codec, type CodecContext, FFmpegError } from 'node-av';
import { InferenceError, type InferenceErrorCode } from '../errors.ts';

/**
 * Opens a codec at once, in this thread. A context that can't be opened is still the caller's to free.
 * (Options are set one by one: `open2Sync` of node-av 6.1.1 frees the dictionary it is given twice.)
 * @throws InferenceError under `code`
 */
export function openCodec(
  context: CodecContext,
  codec: Codec,
  options: Readonly<Record<string, string>>,
  code: InferenceErrorCode,
): void {
  let result = 0;
  for (const [name, value] of Object.entries(options)) {
    if (result >= 0) result = context.setOption(name, value);
  }
  if (result >= 0) result = context.open2Sync(codec, null);
  if (result >= 0) return;
  throw new InferenceError(code, `${codec.name} did not open (${FFmpegError.strerror(result)})`);
}
