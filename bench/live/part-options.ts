/** What the command line says, for every part. */
export interface PartOptions {
  /** Length of what is measured, where another than the part's own is wanted. */
  readonly seconds: number | null;
  /** Likewise how often. */
  readonly rounds: number | null;
  /** Numbers of streams to try; empty: from 1 up to the one that breaks. */
  readonly streams: readonly number[];
  /** Clips of the suite; empty: all, or as many as are needed. */
  readonly clips: readonly string[];
  /** Writes CPU profiles of the gateway (and of engines that end by themselves) below bench/out/profiles. */
  readonly profile: boolean;
}
