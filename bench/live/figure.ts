import type { Row } from '../report.ts';
import { rounded } from '../statistics.ts';

/** One measured number beside what was asked of it. */
export interface Figure {
  readonly part: string;
  readonly what: string;
  /** Null where the number is only reported. */
  readonly asked: { readonly atMost: number } | { readonly atLeast: number } | null;
  /** Null where it could not be measured, which meets nothing. */
  readonly measured: number | null;
  readonly unit: string;
}

/** What one part of the bench came to. */
export interface PartResult {
  readonly figures: readonly Figure[];
  /** Tables printed above the figures. */
  readonly tables: readonly { readonly title: string; readonly rows: readonly Row[] }[];
  /** How it was measured, and what was seen besides. */
  readonly notes: readonly string[];
  /** For the JSON. */
  readonly details: object;
}

/** Null where nothing was asked. */
export function isMet({ asked, measured }: Figure): boolean | null {
  if (asked === null) return null;
  if (measured === null) return false;
  return 'atMost' in asked ? measured <= asked.atMost : measured >= asked.atLeast;
}

export function figureRow(figure: Figure): Row {
  const { part, what, asked, measured, unit } = figure;
  const met = isMet(figure);
  const limit = asked === null ? 'reported' : 'atMost' in asked ? `≤ ${asked.atMost}` : `≥ ${asked.atLeast}`;
  return {
    part,
    what,
    asked: limit,
    measured: rounded(measured, 2),
    unit,
    met: met === null ? '-' : met ? 'yes' : 'NO',
  };
}
