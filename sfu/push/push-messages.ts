/** What a pushing process is told first. */
export interface PushOrder {
  readonly url: string;
  /** FFmpeg's. */
  readonly options: Readonly<Record<string, string>>;
}

/** What it is told after that. Times are ms from the start of the push. */
export type PushInput =
  /** The first is a keyframe. H.264 in Annex B with SPS and PPS in keyframes. */
  | { readonly type: 'video'; readonly data: Uint8Array; readonly timeMs: number; readonly isKeyframe: boolean }
  /** An Opus packet. */
  | { readonly type: 'audio'; readonly data: Uint8Array; readonly timeMs: number }
  /** Takes leave of the target, and ends. */
  | { readonly type: 'finish' };

/** What it tells. */
export type PushMessage =
  /** One picture or packet was written, or left out for good. */
  | { readonly type: 'done' }
  /** The last. */
  | { readonly type: 'failed'; readonly message: string };
