/**
 * Why a face is seen or covered. Seen: `pinned`, somebody asked for that person; `match`, they are one of the people who
 * may be seen; `not-listed`, they surely are none of those who must not. Covered: `policy`, as everyone is, or as one of
 * those who must not be seen; `unknown`, it is not sure who they are, or it was not looked at for long; `hidden`,
 * somebody asked for that person to be covered.
 */
export type FaceReason = 'pinned' | 'match' | 'not-listed' | 'policy' | 'unknown' | 'hidden';

/** What is decided about one face in one frame. */
export interface FaceVerdict {
  readonly visible: boolean;
  readonly reason: FaceReason;
  /** The listed person that it was told to be, and how alike they are, 0..1. */
  readonly identity: { readonly id: string; readonly similarity: number } | null;
}
