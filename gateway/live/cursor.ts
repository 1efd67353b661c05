import { GatewayError } from '../errors.ts';

/** Where a row stands in a list that is ordered by when things were made. */
export interface Place {
  readonly createdAt: Date;
  /** Breaks ties. */
  readonly id: string;
}

/** Milliseconds since 1970, to the year 2286: later ones would not sort as the text that SQLite keeps. */
const PLACE = /^(\d{1,13}) ([a-z0-9-]{1,64})$/;

/** The place as text that means nothing to a client. */
export function writeCursor({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url');
}

/** @throws GatewayError 'bad-request' for a cursor that is none of ours */
export function readCursor(cursor: string): Place {
  const parts = /^[\w-]+$/.test(cursor) ? PLACE.exec(Buffer.from(cursor, 'base64url').toString('latin1')) : null;
  if (!parts) throw new GatewayError('bad-request', 'cursor: must be the next of a page');
  return { createdAt: new Date(Number(parts[1])), id: parts[2]! };
}

/** Part of a list. */
export interface Page<T> {
  readonly entries: readonly T[];
  /** Where the next page begins; null at the end. */
  readonly next: string | null;
}

/**
 * So many of `all`, in the order in which they were made.
 * @param cursor a page's `next`
 * @throws GatewayError 'bad-request' for a cursor that is none of ours
 */
export function pageOf<T>(all: Iterable<T>, placeOf: (entry: T) => Place, limit: number, cursor?: string): Page<T> {
  const after = cursor === undefined ? null : readCursor(cursor);
  const entries = [...all].sort((a, b) => compare(placeOf(a), placeOf(b)));
  const start = after === null ? 0 : entries.findIndex((entry) => compare(placeOf(entry), after) > 0);
  const page = start < 0 ? [] : entries.slice(start, start + limit);
  const more = start >= 0 && start + limit < entries.length;
  return { entries: page, next: more ? writeCursor(placeOf(page.at(-1)!)) : null };
}

function compare(a: Place, b: Place): number {
  return a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : Number(a.id > b.id));
}
