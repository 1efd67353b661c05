/** Seals what says who somebody is before it is stored. */
export interface Sealer {
  /** @param context what it is and whose: it opens for no other one */
  seal(plain: Uint8Array, context: string): Uint8Array;
  /** @throws an Error where it was changed, or sealed by another or for something else */
  open(sealed: Uint8Array, context: string): Uint8Array;
}
