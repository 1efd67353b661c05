/** The middle of the values; null without any. */
export function median(values: readonly number[]): number | null {
  return percentile(values, 50);
}

/** The value that `part` percent of the values do not exceed, between the nearest two; null without any. */
export function percentile(values: readonly number[], part: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const at = ((sorted.length - 1) * part) / 100;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

/** `value` to so many digits behind the point, for a table. */
export function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}
