import { basename, extname } from 'node:path';
import { InferenceError } from '../errors.ts';

export const VIDEO_CODECS = ['h264', 'vp9', 'av1'] as const;
export type VideoCodec = (typeof VIDEO_CODECS)[number];

/** FFmpeg's names of the muxers. */
export type Container = 'mp4' | 'mov' | 'matroska' | 'webm';

/** What a blurred file is written as. */
export interface OutputKind {
  readonly container: Container;
  readonly codec: VideoCodec;
}

/** What each ending stands for, and the codecs that players expect in it; the first is the default. */
const ENDINGS: Readonly<Record<string, { readonly container: Container; readonly codecs: readonly VideoCodec[] }>> = {
  '.mp4': { container: 'mp4', codecs: ['h264', 'vp9', 'av1'] },
  '.m4v': { container: 'mp4', codecs: ['h264'] },
  '.mov': { container: 'mov', codecs: ['h264'] },
  '.mkv': { container: 'matroska', codecs: ['h264', 'vp9', 'av1'] },
  '.webm': { container: 'webm', codecs: ['vp9', 'av1'] },
};
const DEFAULT_ENDING = '.mp4';

/**
 * Chooses container and codec by the name of the output, as FFmpeg would; a name without an ending is an MP4.
 * @param codec wanted, or undefined for the container's usual one
 * @throws InferenceError 'bad-options' where the ending is of no container that is written, or can't hold the codec
 */
export function chooseOutputKind(path: string, codec?: VideoCodec): OutputKind {
  const ending = extname(path).toLowerCase() || DEFAULT_ENDING;
  const known = ENDINGS[ending];
  if (!known) {
    const endings = Object.keys(ENDINGS).join(', ');
    throw new InferenceError('bad-options', `${basename(path)} can't be written as ${ending}; name it ${endings}`);
  }
  if (codec && !known.codecs.includes(codec)) {
    const others = Object.entries(ENDINGS).filter(([, { codecs }]) => codecs.includes(codec));
    const endings = others.map(([name]) => name).join(' or ');
    throw new InferenceError(
      'bad-options',
      `${ending} holds ${known.codecs.join(' or ')}, not ${codec}; for ${codec} name it ${endings}`,
    );
  }
  return { container: known.container, codec: codec ?? known.codecs[0]! };
}
